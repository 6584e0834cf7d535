# What a runner must not touch: delimiters, version comments and semicolons inside bodies.
/*!40101 SET @saved_mode = @@sql_mode */;
CREATE TABLE wire (a varchar(99), b varchar(99) DEFAULT 'it''s; %s ? :x {}') /*!50100 COMMENT = 'a;b' */;
DELIMITER //
CREATE PROCEDURE slashes()
BEGIN
  -- a comment; with // and DELIMITER ;
  INSERT INTO wire VALUES ('http://a;b', "it's; %s ?"), ('\';\\', 'DELIMITER ;');
  # // ; here
  IF 1 THEN SELECT CASE WHEN 1 THEN ';' END INTO @x; ELSE BEGIN END; END IF;
END //
CREATE FUNCTION gives(a INT) RETURNS VARCHAR(99) DETERMINISTIC COMMENT 'x; %s' BEGIN DECLARE b INT DEFAULT 0; SET b = a; RETURN CONCAT(b, ';'); END//
DELIMITER $$
CREATE TRIGGER notes BEFORE INSERT ON wire FOR EACH ROW BEGIN IF NEW.a IS NULL THEN SET NEW.a = '$;'; END IF; END$$
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=CURRENT_USER*/ /*!50003 TRIGGER later AFTER INSERT ON wire FOR EACH ROW BEGIN
  SET @seen = 'a;b';
END */;;
CREATE EVENT sweeps ON SCHEDULE EVERY 1 DAY STARTS '2026-01-31 12:00:00' DISABLE COMMENT ';' DO BEGIN DELETE FROM wire WHERE a = ';'; SET @n = 1; END;;
DELIMITER ;
CALL slashes();
SET sql_mode = 'NO_BACKSLASH_ESCAPES';
INSERT INTO wire VALUES ('a\', ';');
SET sql_mode = @saved_mode;
INSERT INTO wire VALUES ('a\';', "b\";"), (NULL, '%s'), ('größe 🙂;', '{} ?')
