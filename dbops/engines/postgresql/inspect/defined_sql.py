"""SQL that writes the statement of each kind of object, one SELECT per catalog, for a server of a given major version.

Each SELECT yields: kind, catalog, oid, schema oid or 0, name, owner oid or 0, definition, options as names and values in turn.
`to_jsonb(row) ->> 'column'` reads columns that not every version has.
"""

from __future__ import annotations

from collections.abc import Callable

from dbops.engines.postgresql.inspect import reading as r

_OPTION_LIST = """' OPTIONS (' || (
    SELECT string_agg(format('%I %L', option_name, option_value), ', ' ORDER BY option_name) FROM pg_options_to_table({column})
  ) || ')'"""


def _options(column: str) -> str:
    return f"coalesce({_OPTION_LIST.format(column=column)}, '')"


def _function(oid: str) -> str:
    """The qualified name of a function without its arguments."""
    return f"{oid}::regproc::text"


def _operator(oid: str) -> str:
    return f"""(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
    FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = {oid})"""


def _clauses(*clauses: str) -> str:
    """Join the clauses that are not NULL by commas."""
    return f"array_to_string(ARRAY[{', '.join(clauses)}], ', ')"


def cast(major: int) -> str:
    return f"""
SELECT 'cast', {r.CAST}, c.oid, 0::oid,
  format('(%s AS %s)', format_type(castsource, NULL), format_type(casttarget, NULL)), 0::oid,
  format('CREATE CAST (%s AS %s) %s%s', format_type(castsource, NULL), format_type(casttarget, NULL),
    CASE castmethod WHEN 'f' THEN 'WITH FUNCTION ' || castfunc::regprocedure
      WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
    CASE castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' ELSE '' END), NULL::text[]
FROM pg_cast c WHERE NOT EXISTS (
  SELECT FROM pg_depend d WHERE d.classid = {r.CAST} AND d.objid = c.oid AND d.deptype = 'i')"""


def operator(major: int) -> str:
    clauses = _clauses(
        f"'FUNCTION = ' || {_function('oprcode')}",
        "'LEFTARG = ' || format_type(nullif(oprleft, 0), NULL)",
        "'RIGHTARG = ' || format_type(nullif(oprright, 0), NULL)",
        f"'COMMUTATOR = ' || {_operator('p.oprcom')}",
        f"'NEGATOR = ' || {_operator('p.oprnegate')}",
        "'RESTRICT = ' || nullif(oprrest::oid, 0)::regproc",
        "'JOIN = ' || nullif(oprjoin::oid, 0)::regproc",
        "CASE WHEN oprcanhash THEN 'HASHES' END",
        "CASE WHEN oprcanmerge THEN 'MERGES' END",
    )
    return f"""
SELECT 'operator', {r.OPERATOR}, p.oid, oprnamespace,
  format('%s(%s, %s)', oprname, coalesce(format_type(nullif(oprleft, 0), NULL), 'NONE'),
    coalesce(format_type(nullif(oprright, 0), NULL), 'NONE')), oprowner,
  CASE WHEN oprcode::oid <> 0 THEN format('CREATE OPERATOR %I.%s (%s)', s.nspname, oprname, {clauses}) END, NULL
FROM pg_operator p JOIN pg_namespace s ON s.oid = oprnamespace WHERE p.oid >= {r.FIRST_USER_OID}"""


def operator_family(major: int) -> str:
    """Members that belong to no class hang on the family itself with an automatic dependency."""
    loose = _members("d.refclassid = 2753 AND d.refobjid = f.oid AND d.deptype = 'a'", with_types=True)
    return f"""
SELECT 'operator_family', {r.OPFAMILY}, f.oid, opfnamespace, format('%I USING %I', opfname, a.amname), opfowner,
  format('CREATE OPERATOR FAMILY %I.%I USING %I', s.nspname, opfname, a.amname)
    || coalesce(format(E';\\nALTER OPERATOR FAMILY %I.%I USING %I ADD ', s.nspname, opfname, a.amname) || {loose}, ''), NULL
FROM pg_opfamily f JOIN pg_namespace s ON s.oid = opfnamespace JOIN pg_am a ON a.oid = opfmethod
WHERE f.oid >= {r.FIRST_USER_OID}"""


def operator_class(major: int) -> str:
    own = _members("d.refclassid = 2616 AND d.refobjid = c.oid AND d.deptype = 'i'", with_types=False)
    return f"""
SELECT 'operator_class', {r.OPCLASS}, c.oid, opcnamespace, format('%I USING %I', opcname, a.amname), opcowner,
  format('CREATE OPERATOR CLASS %I.%I%s FOR TYPE %s USING %I FAMILY %I.%I AS ', s.nspname, opcname,
    CASE WHEN opcdefault THEN ' DEFAULT' ELSE '' END, format_type(opcintype, NULL), a.amname, fs.nspname, f.opfname)
    || array_to_string(ARRAY[{own},
         CASE WHEN opckeytype <> 0 THEN 'STORAGE ' || format_type(opckeytype, NULL)
              ELSE CASE WHEN {own} IS NULL THEN 'STORAGE ' || format_type(opcintype, NULL) END END], ', '), NULL
FROM pg_opclass c JOIN pg_namespace s ON s.oid = opcnamespace JOIN pg_am a ON a.oid = opcmethod
JOIN pg_opfamily f ON f.oid = opcfamily JOIN pg_namespace fs ON fs.oid = opfnamespace WHERE c.oid >= {r.FIRST_USER_OID}"""


def _members(condition: str, with_types: bool) -> str:
    """Operators and support functions; loose ones always name their types, those of a class only where they differ."""
    function_types = (
        "format('(%s, %s) ', format_type(p.amproclefttype, NULL), format_type(p.amprocrighttype, NULL))"
        if with_types
        else """CASE WHEN p.amproclefttype = c.opcintype AND p.amprocrighttype = c.opcintype THEN ''
           ELSE format('(%s, %s) ', format_type(p.amproclefttype, NULL), format_type(p.amprocrighttype, NULL)) END"""
    )
    return f"""(SELECT string_agg(m.text, ', ' ORDER BY m.kind DESC, m.number, m.text) FROM (
      SELECT 'operator' AS kind, o.amopstrategy AS number,
        format('OPERATOR %s %I.%s (%s, %s)%s', o.amopstrategy, ons.nspname, op.oprname,
        format_type(o.amoplefttype, NULL), format_type(o.amoprighttype, NULL),
        (SELECT format(' FOR ORDER BY %I.%I', sn.nspname, sf.opfname) FROM pg_opfamily sf
         JOIN pg_namespace sn ON sn.oid = sf.opfnamespace WHERE sf.oid = o.amopsortfamily)) AS text
      FROM pg_depend d JOIN pg_amop o ON o.oid = d.objid JOIN pg_operator op ON op.oid = o.amopopr
      JOIN pg_namespace ons ON ons.oid = op.oprnamespace WHERE d.classid = {r.AMOP} AND {condition}
      UNION ALL
      SELECT 'function', p.amprocnum, format('FUNCTION %s %s%s', p.amprocnum, {function_types}, p.amproc::regprocedure)
      FROM pg_depend d JOIN pg_amproc p ON p.oid = d.objid WHERE d.classid = {r.AMPROC} AND {condition}) AS m)"""


def collation(major: int) -> str:
    clauses = _clauses(
        "CASE collprovider WHEN 'i' THEN 'provider = icu' WHEN 'b' THEN 'provider = builtin' ELSE 'provider = libc' END",
        """CASE WHEN collprovider = 'c' AND collcollate IS DISTINCT FROM collctype
             THEN format('lc_collate = %L, lc_ctype = %L', collcollate, collctype)
             ELSE 'locale = ' || quote_literal(
               coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', collcollate)) END""",
        "CASE WHEN NOT collisdeterministic THEN 'deterministic = false' END",
        "'rules = ' || quote_literal(to_jsonb(c) ->> 'collicurules')",
    )
    return f"""
SELECT 'collation', {r.COLLATION}, c.oid, collnamespace, collname::text, collowner,
  format('CREATE COLLATION %I.%I (%s)', s.nspname, collname, {clauses}), NULL
FROM pg_collation c JOIN pg_namespace s ON s.oid = collnamespace WHERE c.oid >= {r.FIRST_USER_OID}"""


def conversion(major: int) -> str:
    return f"""
SELECT 'conversion', {r.CONVERSION}, c.oid, connamespace, conname::text, conowner,
  format('CREATE %sCONVERSION %I.%I FOR %L TO %L FROM %s', CASE WHEN condefault THEN 'DEFAULT ' ELSE '' END, s.nspname, conname,
    pg_encoding_to_char(conforencoding), pg_encoding_to_char(contoencoding), {_function("conproc")}), NULL
FROM pg_conversion c JOIN pg_namespace s ON s.oid = connamespace WHERE c.oid >= {r.FIRST_USER_OID}"""


def text_search_parser(major: int) -> str:
    clauses = _clauses(
        "'START = ' || prsstart",
        "'GETTOKEN = ' || prstoken",
        "'END = ' || prsend",
        "'HEADLINE = ' || nullif(prsheadline::oid, 0)::regproc",
        "'LEXTYPES = ' || prslextype",
    )
    return f"""
SELECT 'text_search_parser', {r.TS_PARSER}, p.oid, prsnamespace, prsname::text, 0::oid,
  format('CREATE TEXT SEARCH PARSER %I.%I (%s)', s.nspname, prsname, {clauses}), NULL
FROM pg_ts_parser p JOIN pg_namespace s ON s.oid = prsnamespace WHERE p.oid >= {r.FIRST_USER_OID}"""


def text_search_template(major: int) -> str:
    clauses = _clauses("'INIT = ' || nullif(tmplinit::oid, 0)::regproc", "'LEXIZE = ' || tmpllexize")
    return f"""
SELECT 'text_search_template', {r.TS_TEMPLATE}, t.oid, tmplnamespace, tmplname::text, 0::oid,
  format('CREATE TEXT SEARCH TEMPLATE %I.%I (%s)', s.nspname, tmplname, {clauses}), NULL
FROM pg_ts_template t JOIN pg_namespace s ON s.oid = tmplnamespace WHERE t.oid >= {r.FIRST_USER_OID}"""


def text_search_dictionary(major: int) -> str:
    return f"""
SELECT 'text_search_dictionary', {r.TS_DICTIONARY}, d.oid, dictnamespace, dictname::text, dictowner,
  format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', s.nspname, dictname, ts.nspname, t.tmplname,
    coalesce(', ' || dictinitoption, '')), NULL
FROM pg_ts_dict d JOIN pg_namespace s ON s.oid = dictnamespace JOIN pg_ts_template t ON t.oid = dicttemplate
JOIN pg_namespace ts ON ts.oid = t.tmplnamespace WHERE d.oid >= {r.FIRST_USER_OID}"""


def text_search_configuration(major: int) -> str:
    return f"""
SELECT 'text_search_configuration', {r.TS_CONFIGURATION}, c.oid, cfgnamespace, cfgname::text, cfgowner,
  format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', s.nspname, cfgname, ps.nspname, p.prsname) || coalesce((
    SELECT string_agg(
      format(E';\\nALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s', s.nspname, cfgname, alias, dicts), ''
      ORDER BY alias)
    FROM (SELECT (SELECT t.alias FROM ts_token_type(c.cfgparser) t WHERE t.tokid = m.maptokentype) AS alias,
                 string_agg(format('%I.%I', ds.nspname, d.dictname), ', ' ORDER BY m.mapseqno) AS dicts
          FROM pg_ts_config_map m JOIN pg_ts_dict d ON d.oid = m.mapdict JOIN pg_namespace ds ON ds.oid = d.dictnamespace
          WHERE m.mapcfg = c.oid GROUP BY m.maptokentype) AS mapped), ''), NULL
FROM pg_ts_config c JOIN pg_namespace s ON s.oid = cfgnamespace JOIN pg_ts_parser p ON p.oid = cfgparser
JOIN pg_namespace ps ON ps.oid = p.prsnamespace WHERE c.oid >= {r.FIRST_USER_OID}"""


def statistics(major: int) -> str:
    """The server names the columns in the order of the table, which is no part of a schema: here they are sorted."""
    return f"""
SELECT 'statistics', {r.STATISTICS}, x.oid, stxnamespace, stxname::text, stxowner,
  coalesce(replace(pg_get_statisticsobjdef(x.oid), ' ON ' || placed, ' ON ' || sorted), pg_get_statisticsobjdef(x.oid)),
  ARRAY['target', nullif(to_jsonb(x) ->> 'stxstattarget', '-1')]
FROM pg_statistic_ext x CROSS JOIN LATERAL (
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS placed,
         string_agg(quote_ident(attname), ', ' ORDER BY attname) AS sorted
  FROM pg_attribute WHERE attrelid = stxrelid AND attnum = ANY (stxkeys::int2[])) AS columns"""


def publication(major: int) -> str:
    columns = (
        """coalesce((SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) || ')'
           FROM pg_attribute a WHERE a.attrelid = x.prrelid AND a.attnum = ANY (x.prattrs)), '')
           || coalesce(' WHERE ' || pg_get_expr(x.prqual, x.prrelid), '')"""
        if major >= 15
        else "''"
    )
    schemas = (
        """(SELECT string_agg('TABLES IN SCHEMA ' || quote_ident(s.nspname), ', ' ORDER BY s.nspname)
            FROM pg_publication_namespace y JOIN pg_namespace s ON s.oid = y.pnnspid WHERE y.pnpubid = p.oid)"""
        if major >= 15
        else "NULL"
    )
    publishes = _clauses(
        "CASE WHEN pubinsert THEN 'insert' END",
        "CASE WHEN pubupdate THEN 'update' END",
        "CASE WHEN pubdelete THEN 'delete' END",
        "CASE WHEN pubtruncate THEN 'truncate' END",
    )
    return f"""
SELECT 'publication', {r.PUBLICATION}, p.oid, 0::oid, pubname::text, pubowner,
  format('CREATE PUBLICATION %I%s WITH (%s)', pubname, CASE WHEN puballtables THEN ' FOR ALL TABLES' ELSE coalesce(
    ' FOR ' || nullif(array_to_string(ARRAY[
      (SELECT 'TABLE ' || string_agg(format('ONLY %s%s', x.prrelid::regclass, {columns}), ', ' ORDER BY x.prrelid::regclass::text)
       FROM pg_publication_rel x WHERE x.prpubid = p.oid), {schemas}], ', '), ''), '') END,
    array_to_string(ARRAY[format('publish = %L', {publishes}),
      CASE WHEN pubviaroot THEN 'publish_via_partition_root = true' END,
      'publish_generated_columns = ' || CASE to_jsonb(p) ->> 'pubgencols' WHEN 's' THEN 'stored' END], ', ')), NULL
FROM pg_publication p"""


def foreign_data_wrapper(major: int) -> str:
    return f"""
SELECT 'foreign_data_wrapper', {r.FDW}, w.oid, 0::oid, fdwname::text, fdwowner,
  format('CREATE FOREIGN DATA WRAPPER %I%s%s%s', fdwname, coalesce(' HANDLER ' || nullif(fdwhandler, 0)::regproc, ''),
    coalesce(' VALIDATOR ' || nullif(fdwvalidator, 0)::regproc, ''), {_options("fdwoptions")}), NULL
FROM pg_foreign_data_wrapper w"""


def server(major: int) -> str:
    return f"""
SELECT 'server', {r.SERVER}, v.oid, 0::oid, srvname::text, srvowner,
  format('CREATE SERVER %I%s%s FOREIGN DATA WRAPPER %I%s', srvname, coalesce(' TYPE ' || quote_literal(srvtype), ''),
    coalesce(' VERSION ' || quote_literal(srvversion), ''), w.fdwname, {_options("srvoptions")}), NULL
FROM pg_foreign_server v JOIN pg_foreign_data_wrapper w ON w.oid = v.srvfdw"""


def user_mapping(major: int) -> str:
    """The name alone where options hold a secret, which no plan may show, or are hidden from this account (pg_user_mappings)."""
    is_secret = "option_name ~* '(pass|secret|token|key$)' AND option_name NOT IN ('passfile', 'password_required', 'sslkey')"
    is_shown = """(m.umoptions IS NOT NULL OR current_setting('is_superuser')::bool OR pg_has_role(v.srvowner, 'USAGE')
    OR m.usename = current_user AND has_server_privilege(v.oid, 'USAGE'))"""
    role = "CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END"
    return f"""
SELECT 'user_mapping', {r.USER_MAPPING}, m.umid, 0::oid, format('%s SERVER %I', {role}, m.srvname), 0::oid,
  CASE WHEN {is_shown} AND NOT EXISTS (SELECT FROM pg_options_to_table(m.umoptions) WHERE {is_secret})
    THEN format('CREATE USER MAPPING FOR %s SERVER %I%s', {role}, m.srvname, {_options("m.umoptions")}) END, NULL
FROM pg_user_mappings m JOIN pg_foreign_server v ON v.oid = m.srvid"""


def event_trigger(major: int) -> str:
    return f"""
SELECT 'event_trigger', {r.EVENT_TRIGGER}, e.oid, 0::oid, evtname::text, evtowner,
  format('CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %s()', evtname, evtevent,
    coalesce(E'\\n  WHEN TAG IN (' || (SELECT string_agg(quote_literal(tag), ', ') FROM unnest(evttags) AS tag) || ')', ''),
    {_function("evtfoid")}),
  ARRAY['enabled', CASE evtenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END]
FROM pg_event_trigger e"""


def access_method(major: int) -> str:
    return f"""
SELECT 'access_method', {r.AM}, a.oid, 0::oid, amname::text, 0::oid,
  format('CREATE ACCESS METHOD %I TYPE %s HANDLER %s', amname,
    CASE amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END, amhandler), NULL
FROM pg_am a WHERE a.oid >= {r.FIRST_USER_OID}"""


def transform(major: int) -> str:
    clauses = _clauses(
        "'FROM SQL WITH FUNCTION ' || nullif(trffromsql::oid, 0)::regprocedure",
        "'TO SQL WITH FUNCTION ' || nullif(trftosql::oid, 0)::regprocedure",
    )
    return f"""
SELECT 'transform', {r.TRANSFORM}, t.oid, 0::oid, format('%s LANGUAGE %I', format_type(trftype, NULL), l.lanname), 0::oid,
  format('CREATE TRANSFORM FOR %s LANGUAGE %I (%s)', format_type(trftype, NULL), l.lanname, {clauses}), NULL
FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang"""


def language(major: int) -> str:
    return f"""
SELECT 'language', {r.LANGUAGE}, l.oid, 0::oid, lanname::text, lanowner,
  format('CREATE %sLANGUAGE %I HANDLER %s%s%s',
    CASE WHEN lanpltrusted THEN 'TRUSTED ' ELSE '' END, lanname, lanplcallfoid::regproc,
    coalesce(' INLINE ' || nullif(laninline, 0)::regproc, ''),
    coalesce(' VALIDATOR ' || nullif(lanvalidator, 0)::regproc, '')), NULL
FROM pg_language l WHERE lanispl AND l.oid >= {r.FIRST_USER_OID}"""


SOURCES: tuple[Callable[[int], str], ...] = (
    cast,
    operator,
    operator_family,
    operator_class,
    collation,
    conversion,
    text_search_parser,
    text_search_template,
    text_search_dictionary,
    text_search_configuration,
    statistics,
    publication,
    foreign_data_wrapper,
    server,
    user_mapping,
    event_trigger,
    access_method,
    transform,
    language,
)
