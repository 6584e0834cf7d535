-- What a runner must not touch: semicolons, placeholders and quotes of other languages inside bodies.
CREATE TABLE wire (a text, b text DEFAULT 'it''s; %s ? :x {} $1');
CREATE FUNCTION dollars(a integer, OUT b text) LANGUAGE plpgsql AS $body$
DECLARE
  q text := 'SELECT ''%s;'' -- no comment';
BEGIN
  -- a comment; with $$ and %s ? :name {} and it's open
  EXECUTE format($q$SELECT '%s; $$ $1' || $1$q$, 'x') INTO b USING a::text;
  /* ; /* nested ; */ $inner$ */
  b := b || $$;$$ || E'\';\\' || q;
END;
$body$;
CREATE FUNCTION standard(a integer) RETURNS integer LANGUAGE sql
BEGIN ATOMIC
  SELECT 1;
  SELECT CASE WHEN a > 1 THEN CASE a WHEN 2 THEN 3 END ELSE 4 END;
END;
CREATE PROCEDURE fills() LANGUAGE sql BEGIN ATOMIC INSERT INTO wire VALUES (';', 'END;'); DELETE FROM wire WHERE a = '; END'; END;
CREATE RULE "also;" AS ON INSERT TO wire WHERE new.a = ';)' DO ALSO (DELETE FROM wire WHERE a = 'x;'; DELETE FROM wire WHERE b = ';)');
INSERT INTO wire VALUES (E'tab\t; \'quoted\' \\ %s', U&'d\0061t\+000061; \\'), ('a$b$c', $a$b$ $b$;$a$), ('%s', '?'), (':x', '{}');
SET standard_conforming_strings = off;
INSERT INTO wire VALUES ('a\';\\ b', 'c''d;');
SET standard_conforming_strings = on;
INSERT INTO wire VALUES ('a\', ';');
COPY wire (a, b) FROM stdin;
'; -- \\.	$$ %s ?
\N	;
\.
DO $do$ BEGIN EXECUTE $x$ INSERT INTO wire VALUES ('do;', $y$ ; $y$) $x$; END $do$;
COMMENT ON TABLE wire IS 'size; größe 🙂; %(x)s {} :a ?'
