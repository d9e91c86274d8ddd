CREATE TABLE news (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slug text NOT NULL UNIQUE,
    title text NOT NULL,
    body text NOT NULL,
    tags text[] NOT NULL DEFAULT '{}',
    bill_id bigint REFERENCES bills ON DELETE SET NULL,
    published_at timestamptz,
    search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('portuguese', title), 'A') || setweight(to_tsvector('portuguese', body), 'B')
    ) STORED
);

CREATE INDEX news_search ON news USING gin (search);
CREATE INDEX news_by_tag ON news USING gin (tags);
CREATE INDEX news_published ON news (published_at DESC) WHERE published_at IS NOT NULL;

CREATE VIEW published_news AS
SELECT id, slug, title, body, tags, published_at FROM news WHERE published_at <= now();

CREATE FUNCTION search_news(words text) RETURNS TABLE (slug text, title text, rank real)
LANGUAGE sql STABLE
AS $$
    SELECT n.slug, n.title, ts_rank(n.search, query)
    FROM news n, websearch_to_tsquery('portuguese', words) AS query
    WHERE n.search @@ query AND n.published_at IS NOT NULL
    ORDER BY 3 DESC, 1
$$;

-- What citizens write to the chamber; each letter gets a number that tells nothing of who wrote it.
CREATE SEQUENCE letter_numbers START 1000 INCREMENT 1 MINVALUE 1000;

CREATE TABLE letters (
    protocol text PRIMARY KEY DEFAULT 'OUV-' || nextval('letter_numbers'),
    subject text NOT NULL,
    body text NOT NULL,
    email citext,
    answered_at timestamptz
);
