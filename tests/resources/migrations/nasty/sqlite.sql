-- What a runner must not touch: bodies of triggers, names in every kind of quote.
CREATE TABLE wire ([a;] TEXT, `b;``` TEXT DEFAULT 'it''s; %s ? :x {}', "c;""" TEXT);
CREATE TABLE log (entry);
CREATE TRIGGER [on;insert] AFTER INSERT ON wire WHEN new.[a;] IS NOT ';' BEGIN
  INSERT INTO log VALUES (CASE WHEN new.[a;] = 'END;' THEN CASE 1 WHEN 1 THEN ';' END ELSE new.[a;] END); -- END;
  /* END; */ UPDATE log SET entry = "entry" || '; -- ?' WHERE entry = 'END';
END;
CREATE TEMP TRIGGER gone AFTER DELETE ON wire BEGIN SELECT RAISE(ABORT, 'no; never'); END;
INSERT INTO wire ([a;], `b;```) VALUES ('END;', '\'), (';', '%s ? :x {}'), ('größe 🙂;', x'3B');
CREATE VIEW seen AS SELECT "c;""" AS [end;], CASE WHEN 1 THEN ';' END AS e FROM wire
