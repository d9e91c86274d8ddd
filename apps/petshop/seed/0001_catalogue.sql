INSERT INTO species (id, name) VALUES
    (1, 'Dog'), (2, 'Cat'), (3, 'Rabbit'), (4, 'Bird'), (5, 'Fish'), (6, 'Hamster')
ON CONFLICT (id) DO NOTHING;

-- With numbers of their own, so that a breed has the same one in every database.
INSERT INTO breeds (id, species_id, name)
SELECT breed.id, species.id, breed.name
FROM (VALUES
    (1, 'Dog', 'Mixed breed'), (2, 'Dog', 'Labrador Retriever'), (3, 'Dog', 'Poodle'), (4, 'Dog', 'Shih Tzu'),
    (5, 'Dog', 'Fila Brasileiro'), (6, 'Cat', 'Mixed breed'), (7, 'Cat', 'Siamese'), (8, 'Cat', 'Persian'),
    (9, 'Rabbit', 'Netherland Dwarf'), (10, 'Bird', 'Cockatiel'), (11, 'Bird', 'Canary')
) AS breed (id, species, name)
JOIN species ON species.name = breed.species
ON CONFLICT (id) DO NOTHING;
