ALTER TABLE clients ADD COLUMN accepts_reminders boolean NOT NULL DEFAULT true;
ALTER TABLE clients ADD COLUMN referred_by bigint REFERENCES clients ON DELETE SET NULL;
ALTER TABLE clients ADD CONSTRAINT clients_not_own_referrer CHECK (referred_by <> id);

CREATE INDEX ON clients (referred_by) WHERE referred_by IS NOT NULL;
