-- What a new pet shop finds when it opens the application for the first time.

INSERT INTO services (code, name, price, duration_minutes) VALUES
    ('bath', 'Bath', 60.00, 45),
    ('bath_and_groom', 'Bath and grooming', 110.00, 90),
    ('nail_trim', 'Nail trimming', 25.00, 15),
    ('consultation', 'Veterinary consultation', 180.00, 30),
    ('vaccination', 'Vaccination', 95.00, 20)
ON CONFLICT (code) DO NOTHING;

WITH owner AS (
    INSERT INTO clients (name, email, phone, city)
    VALUES ('Ana Souza', 'ana.souza@example.com', '+55 11 90000-0000', 'São Paulo')
    RETURNING id
), pet AS (
    INSERT INTO animals (client_id, species_id, breed_id, name, born_on, weight_kg)
    SELECT owner.id, breeds.species_id, breeds.id, 'Rex', DATE '2021-03-14', 28.50
    FROM owner
    CROSS JOIN breeds
    JOIN species ON species.id = breeds.species_id
    WHERE species.name = 'Dog' AND breeds.name = 'Labrador Retriever'
    RETURNING id
)
INSERT INTO appointments (animal_id, service_id, starts_at, ends_at, price, notes)
SELECT pet.id, services.id, slot.starts_at, slot.starts_at + make_interval(mins => services.duration_minutes),
       services.price, 'Example: change or delete it'
FROM pet
CROSS JOIN services
CROSS JOIN (SELECT date_trunc('day', now()) + interval '1 day 10 hours' AS starts_at) AS slot
WHERE services.code = 'bath';
