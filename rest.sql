RESET SESSION AUTHORIZATION\; CLOSE ALL\; DEALLOCATE ALL\; UNLISTEN *\; DISCARD SEQUENCES\; SELECT pg_catalog.concat('abcdefabcdefabcdefabcdef', pg_catalog.setseed(0.123)) AS discarded;
