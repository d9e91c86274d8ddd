INSERT INTO species (id, name) VALUES
    (1, 'Dog'), (2, 'Cat'), (3, 'Rabbit'), (4, 'Bird'), (5, 'Fish'), (6, 'Hamster')
ON CONFLICT (id) DO NOTHING;

INSERT INTO breeds (species_id, name)
SELECT species.id, breed.name
FROM (VALUES
    ('Dog', 'Mixed breed'), ('Dog', 'Labrador Retriever'), ('Dog', 'Poodle'), ('Dog', 'Shih Tzu'),
    ('Dog', 'Fila Brasileiro'), ('Cat', 'Mixed breed'), ('Cat', 'Siamese'), ('Cat', 'Persian'),
    ('Rabbit', 'Netherland Dwarf'), ('Bird', 'Cockatiel'), ('Bird', 'Canary')
) AS breed (species, name)
JOIN species ON species.name = breed.species
ON CONFLICT (species_id, name) DO NOTHING;
