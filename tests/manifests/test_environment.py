"""Environments: which files count, overlays, variables, and what refers to what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from dbops.errors import ManifestError, Mark
from dbops.manifests.environment import bindings, load_environment
from dbops.resources.connections.spec import ConnectionSpec
from dbops.resources.schema.spec import SchemaSpec
from tests.manifests.kinds import KINDS, connection, load, overlay, schema, write

SHOP = connection("{url: 'sqlite:///shop.db'}")


def spec_of(environment: object, name: str = "shop") -> ConnectionSpec:
    return cast("ConnectionSpec", environment.find("Connection", name).spec)  # type: ignore[attr-defined]


# --- files ---------------------------------------------------------------------------------------------------------------


def test_manifests_are_found_in_all_folders_and_both_spellings_in_order(tmp_path: Path) -> None:
    files = {"b/z.yml": connection("{url: 'sqlite://'}", "z"), "a.yaml": SHOP, "b/a.yaml": connection("{url: 'sqlite://'}", "y")}
    assert [manifest.name for manifest in load(tmp_path, files).manifests] == ["shop", "y", "z"]


def test_hidden_folders_virtual_environments_and_other_environments_are_passed_by(tmp_path: Path) -> None:
    broken = "apiVersion: dbops/v1\nkind: ["
    files = {".git/a.yaml": broken, "node_modules/a.yaml": broken, "tools/pyvenv.cfg": "", "tools/a.yaml": broken}
    files |= {"staging/environment.yaml": overlay("{extends: ..}"), "staging/a.yaml": broken, "shop.yaml": SHOP}
    assert [manifest.name for manifest in load(tmp_path, files).manifests] == ["shop"]


def test_files_and_documents_of_other_programs_are_passed_by(tmp_path: Path) -> None:
    other = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {}\n"
    files = {
        "service.yaml": other,
        "mixed.yaml": other + "---\n" + SHOP,
        "chart.yaml": "apiVersion: v1\nname: {{ .Values.name }}\n",
    }
    files |= {
        "play.yaml": "- hosts: all\n  password: !vault x\n",
        "conda/environment.yml": "name: shop\ndependencies: [python]\n",
    }
    files |= {"conda/more.yaml": connection("{url: 'sqlite://'}", "more")}
    assert [manifest.name for manifest in load(tmp_path, files).manifests] == ["more", "shop"]


def test_one_file_is_an_environment_too(tmp_path: Path) -> None:
    write(tmp_path, {"shop.yaml": SHOP, "other.yaml": "apiVersion: dbops/v1\nkind: ["})
    environment = load_environment(tmp_path / "shop.yaml", KINDS, {})
    assert (environment.name, environment.root) == ("shop", tmp_path)


def test_environment_file_stands_for_its_folder(tmp_path: Path) -> None:
    write(tmp_path, {"shop.yaml": SHOP, "environment.yaml": overlay("{variables: {region: eu}}")})
    environment = load_environment(tmp_path / "environment.yaml", KINDS, {})
    assert (environment.name, [manifest.name for manifest in environment.manifests]) == ("production", ["shop"])


def test_folder_gives_its_name_where_no_environment_says_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"prod/shop.yaml": SHOP})
    monkeypatch.chdir(tmp_path / "prod")
    environment = load_environment(Path(), KINDS, {})
    assert environment.name == "prod"
    assert environment.manifests[0].at == Mark("shop.yaml", 1, 1)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, {"real/shop.yaml": SHOP, "env/readme.txt": ""})
    (tmp_path / "env/linked").symlink_to(tmp_path / "real")
    (tmp_path / "real/again").symlink_to(tmp_path / "env/linked")
    assert [manifest.name for manifest in load(tmp_path / "env").manifests] == ["shop"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"shop.yaml": SHOP, "closed/a.yaml": SHOP})
    (tmp_path / "closed").chmod(0)
    with pytest.raises(ManifestError, match="cannot be read"):
        load(tmp_path)


def test_manifest_knows_its_address_and_the_places_of_its_fields(tmp_path: Path) -> None:
    text = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {name: shop}\nspec:\n  url: sqlite://\n  pool:\n    size: 3\n"
    (manifest,) = load(tmp_path, {"a.yaml": text}).manifests
    file = str(tmp_path / "a.yaml")
    assert manifest.address == "connection/shop"
    assert manifest.mark("spec", "pool") == Mark(file, 6, 3)
    assert manifest.mark("spec", "pool", "size") == Mark(file, 7, 11)
    assert manifest.mark("spec", "retries", "attempts") == Mark(file, 5, 3)


def test_find_names_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, {"shop.yaml": SHOP}).find("Connection", "shpo")
    assert caught.value.fix == "did you mean 'shop'?"


# --- overlays ------------------------------------------------------------------------------------------------------------

CHAIN = {
    "base/shop.yaml": connection(
        "{url: 'postgresql://${HOST:-db}.${region}.example/shop', pool: {size: 4, maxOverflow: 2}, retries: {attempts: 5}}"
    ),
    "base/schema.yaml": schema("{connection: shop, source: {sql: [tables/, views/]}, exclude: [a, b]}"),
    "staging/environment.yaml": overlay(
        "{extends: ../base, variables: {region: eu}, patches: [{kind: Connection, name: shop, spec: {pool: {size: 8}}}]}",
        "staging",
    ),
    "production/environment.yaml": """\
        apiVersion: dbops/v1
        kind: Environment
        metadata: {name: production}
        spec:
          extends: ../staging
          variables: {HOST: "${PREFIX}-main"}
          patches:
            - kind: Connection
              name: shop
              spec: {pool: {size: 40, timeout: "${WAIT}"}, retries: null}
            - kind: Schema
              name: shop
              spec: {exclude: [c]}
        """,
    "production/extra.yaml": connection("{url: 'sqlite:///extra.db'}", "extra"),
}


def test_overlays_merge_mappings_replace_lists_and_take_away(tmp_path: Path) -> None:
    write(tmp_path, CHAIN)
    environment = load_environment(tmp_path / "production", KINDS, {"PREFIX": "eu1", "WAIT": "5s", "region": "ignored"})
    spec = spec_of(environment)
    assert (spec.pool.size, spec.pool.max_overflow, spec.pool.timeout, spec.retries.attempts) == (40, 2, 5.0, 3)
    assert spec.url is not None
    assert spec.url.literal is not None
    assert spec.url.literal.reveal() == "postgresql://eu1-main.eu.example/shop"
    assert cast("SchemaSpec", environment.find("Schema", "shop").spec).exclude == ("c",)
    assert environment.variables == {"region": "eu", "HOST": "eu1-main"}
    assert [manifest.address for manifest in environment.manifests] == ["schema/shop", "connection/shop", "connection/extra"]


def test_patched_values_stand_in_the_patch_and_the_others_where_they_were(tmp_path: Path) -> None:
    write(tmp_path, CHAIN)
    environment = load_environment(tmp_path / "production", KINDS, {"PREFIX": "x", "WAIT": "1s"})
    shop = environment.find("Connection", "shop")
    patch, base = str(tmp_path / "production/environment.yaml"), str(tmp_path / "base/shop.yaml")
    assert shop.mark("spec", "pool", "size") == Mark(patch, 10, 27)
    assert shop.mark("spec", "pool", "maxOverflow").file == base
    assert shop.mark("spec", "url").file == base
    assert shop.at == Mark(base, 1, 1)
    assert environment.find("Schema", "shop").mark("spec", "exclude", 0).file == patch


def test_paths_belong_to_the_environment_they_are_written_in(tmp_path: Path) -> None:
    write(tmp_path, CHAIN)
    environment = load_environment(tmp_path / "production", KINDS, {"PREFIX": "x", "WAIT": "1s"})
    assert environment.root == tmp_path / "production"
    assert environment.find("Schema", "shop").root == tmp_path / "base"
    assert environment.find("Connection", "extra").root == tmp_path / "production"


def test_extended_folder_inside_the_environment_is_read_once(tmp_path: Path) -> None:
    files = {"base/shop.yaml": SHOP, "environment.yaml": overlay("{extends: base}")}
    assert [manifest.name for manifest in load(tmp_path, files).manifests] == ["shop"]


# --- variables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("x${A}y${B}", "xoney"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${MISSING:-}", ""),
        ("${MISSING:-a b:c}", "a b:c"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $$ $", "$A $$ $"),
        ("${YAML}", "{a: [b}\n: - c"),
    ],
)
def test_variables_are_put_into_text_as_they_are(text: str, value: str, tmp_path: Path) -> None:
    env = {"A": "one", "B": "", "EMPTY": "", "YAML": "{a: [b}\n: - c"}
    manifest = connection(f"{{engine: mysql, database: '{text}'}}")
    assert spec_of(load(tmp_path, {"a.yaml": manifest}, env)).database == value


def test_a_variable_alone_may_be_a_number_or_a_boolean(tmp_path: Path) -> None:
    files = {"a.yaml": connection("{url: 'sqlite://', pool: {size: '${N}'}, sqlite: {foreignKeys: '${ENFORCE}'}}")}
    files["environment.yaml"] = overlay("{variables: {N: 12, ENFORCE: yes}}")
    spec = spec_of(load(tmp_path, files))
    assert spec.pool.size == 12
    assert spec.sqlite is not None
    assert spec.sqlite.foreign_keys is True


def test_variables_of_the_environment_keep_their_spelling(tmp_path: Path) -> None:
    files = {"a.yaml": connection("{engine: mysql, database: '${V}'}"), "environment.yaml": overlay("{variables: {V: 1.10}}")}
    assert spec_of(load(tmp_path, files)).database == "1.10"


def test_labels_take_variables_too(tmp_path: Path) -> None:
    files = {"a.yaml": connection("{url: 'sqlite://'}", labels="{region: '${R}'}")}
    assert load(tmp_path, files, {"R": "eu"}).manifests[0].labels == {"region": "eu"}


# --- references ----------------------------------------------------------------------------------------------------------


def test_a_name_binds_one_and_a_selector_all_that_have_its_labels(tmp_path: Path) -> None:
    files = {
        "a.yaml": connection("{url: 'sqlite://'}", "a", "{team: web, tier: one}"),
        "b.yaml": connection("{url: 'sqlite://'}", "b", "{team: web}"),
        "c.yaml": connection("{url: 'sqlite://'}", "c", "{team: data}"),
        "s.yaml": schema("{connection: b, source: {sql: [x.sql]}}", "one"),
        "t.yaml": schema("{connectionSelector: {matchLabels: {team: web}}, source: {sql: [x.sql]}}", "all"),
    }
    environment = load(tmp_path, files)
    assert [found.name for found in bindings(environment, environment.find("Schema", "one"))] == ["b"]
    assert [found.name for found in bindings(environment, environment.find("Schema", "all"))] == ["a", "b"]


def test_a_broken_manifest_can_still_be_referred_to(tmp_path: Path) -> None:
    files = {"a.yaml": connection("{url: 'sqlite://', pol: 1}"), "b.yaml": schema("{connection: shop, source: {sql: [x.sql]}}")}
    with pytest.raises(ManifestError, match="unknown field 'pol'"):
        load(tmp_path, files)


def test_what_an_unread_file_may_hold_is_not_missed(tmp_path: Path) -> None:
    files = {"a.yaml": SHOP + "  - [", "b.yaml": schema("{connection: shop, source: {sql: [x.sql]}}")}
    with pytest.raises(ManifestError, match="this is not YAML"):
        load(tmp_path, files)


def test_what_follows_from_a_broken_environment_is_not_told(tmp_path: Path) -> None:
    patches = "patches: [{kind: Connection, name: shop, spec: {pool: {size: 1}}}]"
    files = {"environment.yaml": overlay(f"{{extends: ../nowhere, {patches}}}"), "a.yaml": connection("{url: '${URL}'}", "a")}
    files |= {"b.yaml": schema("{connection: shop, source: {sql: [x.sql]}}")}
    with pytest.raises(ManifestError, match="there is no folder"):
        load(tmp_path / "env", files)
