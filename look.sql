SELECT pg_catalog.concat('abcdefabcdefabcdefabcdef', pg_catalog.setseed(0.123)) AS discarded;
