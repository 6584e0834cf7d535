"""Words that need quotes as names, and words that are never told apart by case.

The reserved words are what the servers themselves refuse as bare names of tables and columns: PostgreSQL's `pg_get_keywords()`
(all categories but unreserved, as `quote_ident` does) with the words of versions 16 to 18; MariaDB's
`information_schema.KEYWORDS` tried one by one, with the reserved words of MySQL 8.0 to 9 (manual, "Keywords and Reserved
Words"); SQLite's whole list, since a later version may reserve any of them (lang_keywords.html).
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the words of a text; long lists read better so."""
    return frozenset(text.split())


POSTGRESQL_RESERVED = words("""
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
    character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do
    else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike
    in initially inner inout int integer intersect interval into is isnull join json json_array json_arrayagg json_exists
    json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading least left like
    limit localtime localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric offset
    on only or order out outer overlaps overlay placing position precision primary real references returning right row select
    session_user setof similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing
    treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat
    xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
""")

MYSQL_RESERVED = words("""
    accessible add all alter analyze and as asc asensitive before between bigint binary blob both by call cascade case change
    char character check collate column condition constraint continue convert create cross cube cume_dist current_date
    current_role current_time current_timestamp current_user cursor database databases day_hour day_microsecond day_minute
    day_second dec decimal declare default delayed delete delete_domain_id dense_rank desc describe deterministic distinct
    distinctrow div do_domain_ids double drop dual each else elseif empty enclosed escaped except exists exit explain false
    fetch first_value float float4 float8 for force foreign from fulltext function generated get grant group grouping groups
    having high_priority hour_microsecond hour_minute hour_second if ignore ignore_domain_ids in index infile inner inout
    insensitive insert int int1 int2 int3 int4 int8 integer intersect interval into io_after_gtids io_before_gtids is iterate
    join json_table key keys kill lag last_value lateral lead leading leave left library like limit linear lines load
    localtime localtimestamp lock long longblob longtext loop low_priority manual master_bind master_demote_to_replica
    master_demote_to_slave master_heartbeat_period master_ssl_verify_server_cert match maxvalue mediumblob mediumint
    mediumtext middleint minute_microsecond minute_second mod modifies natural no_write_to_binlog not nth_value ntile null
    numeric of offset on optimize optimizer_costs option optionally or order out outer outfile over page_checksum parallel
    parse_vcol_expr partition percent_rank portion precision primary procedure purge qualify range rank read read_write reads
    real recursive ref_system_id references regexp release rename repeat replace require resignal restrict return returning
    revoke right rlike row row_number rows schema schemas second_microsecond select sensitive separator set show signal slow
    smallint spatial specific sql sql_big_result sql_calc_found_rows sql_small_result sqlexception sqlstate sqlwarning ssl
    starting stats_auto_recalc stats_persistent stats_sample_pages stored straight_join system table tablesample terminated
    then tinyblob tinyint tinytext to trailing trigger true undo union unique unlock unsigned update usage use using utc_date
    utc_time utc_timestamp values varbinary varchar varcharacter varying virtual when where while window with write xor
    year_month zerofill
""")

SQLITE_RESERVED = words("""
    abort action add after all alter always analyze and as asc attach autoincrement before begin between by cascade case cast
    check collate column commit conflict constraint create cross current current_date current_time current_timestamp database
    default deferrable deferred delete desc detach distinct do drop each else end escape except exclude exclusive exists
    explain fail filter first following for foreign from full generated glob group groups having if ignore immediate in index
    indexed initially inner insert instead intersect into is isnull join key last left like limit match materialized natural
    no not nothing notnull null nulls of offset on or order others outer over partition plan pragma preceding primary query
    raise range recursive references regexp reindex release rename replace restrict returning right rollback row rows
    savepoint select set table temp temporary then ties to transaction trigger unbounded union unique update using vacuum
    values view virtual when where window with within without
""")

#: Written in either case without meaning a name: types, clauses and functions that no list of reserved words holds.
_ORDINARY = words("""
    abs action after aggregate algorithm always any ascii at auto_increment autoincrement avg begin binlog bit bool boolean
    btree cast ceil ceiling char_length charset checksum coalesce collation columns comment commit compact compressed concat
    concat_ws count curdate current_user curtime date date_add date_format date_sub datetime day deallocate dec definer
    delay_key_write directory disable discard do duplicate dynamic enable end engine enum event events every execute expansion
    fixed floor flush following follows full geometry geometrycollection greatest hash hex hour identified ifnull iif
    immutable import increment inplace instant instr interval inverse invisible invoker isnull json json_array json_arrayagg
    json_contains json_extract json_object json_objectagg json_quote json_unquote json_valid julianday key_block_size language
    last last_insert_id lcase least length less linestring list local locate log logs lower lpad ltrim max max_rows md5 medium
    memory merge microsecond min min_rows minute mode modify month multilinestring multipoint multipolygon names national
    nchar next no nocache nocycle none now nullif nvarchar on online only open optimize overlaps pack_keys parser partitioning
    partitions password persistent point polygon precedes prepare preserve printf procedure quarter quick rand random
    redundant remove reorganize repeatable replace restart reverse rollback round row_format rpad rtree rtrim savepoint second
    security sequence serial session sha1 sha2 share shared sign signed simple sqlite_version start starts stats_persistent
    strftime strict string subpartition subpartitions substr substring substring_index sum sysdate system system_time tables
    tablespace temporary temptable text than time timediff timestamp timestampadd timestampdiff total transaction trim
    truncate typeof ucase undefined unicode unixepoch unknown until upper user uuid validation value variable versioning view
    visible wait weekday work year
""")

MYSQL_WORDS = MYSQL_RESERVED | _ORDINARY
SQLITE_WORDS = (
    SQLITE_RESERVED
    | _ORDINARY
    | words("bigint blob char clob decimal double false float int integer numeric precision real rowid smallint stored tinyint")
    | words("true varchar")
)
