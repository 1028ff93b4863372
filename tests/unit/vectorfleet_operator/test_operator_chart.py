"""The chart: every value is documented and checked, and the rights are no more than what is used."""

import json
import pathlib
import re

import yaml

CHART = pathlib.Path(__file__).parents[3] / "charts" / "vectorfleet"


def leaves(values, path=()):
    """Return the path of every value, free-form maps and lists counting as one."""
    for key, value in values.items():
        if isinstance(value, dict) and value and key not in {"requests", "limits"}:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def test_every_value_has_a_schema():
    """A misspelt value is refused, so each one that exists has to be known."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    unknown = []
    for path in leaves(yaml.safe_load((CHART / "values.yaml").read_text())):
        node = schema
        for step in path:
            node = node.get("properties", {}).get(step) if node else None
        if node is None:
            unknown.append(path)

    assert unknown == []


def test_every_value_is_documented():
    """Each key that has a value has a comment right above it, those of `resources` above the group."""
    lines = (CHART / "values.yaml").read_text().partition("\nresources:")
    text = lines[0] + lines[2].partition("\n\n")[2]
    silent = re.findall(r"^(?! *#).*\n( *\w+: .+)$", text, re.MULTILINE)

    assert silent == []


def test_the_chart_is_of_the_version_of_the_program():
    """Chart and images are released together."""
    project = (CHART.parents[1] / "pyproject.toml").read_text()
    [version] = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_operator_may_not_delete_data_or_read_everything():
    """No wildcard, and no right to delete what holds data or keys."""
    text = (CHART / "templates" / "_helpers.tpl").read_text()
    block = re.search(r'define "vectorfleet.rules" -}}\n(.*?){{- end }}', text, re.DOTALL)
    rules = yaml.safe_load(block[1])

    assert all("*" not in rule["resources"] + rule["verbs"] + rule["apiGroups"] for rule in rules)
    deletable = {resource for rule in rules if "delete" in rule["verbs"] for resource in rule["resources"]}
    assert not deletable & {"secrets", "vectorshards", "vectorindexes", "persistentvolumeclaims"}


def test_the_control_plane_is_off_and_may_do_little():
    """Every object of it hangs on its switch; it has a right to VectorIndexes of one namespace alone."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    templates = sorted((CHART / "templates" / "control-plane").glob("*.yaml"))
    rights = (CHART / "templates" / "control-plane" / "rights.yaml").read_text()
    [rule] = yaml.safe_load(rights.partition("\nrules:\n")[2].partition("\n---")[0])

    assert values["controlPlane"]["enabled"] is False
    assert templates
    for path in templates:
        first, last = path.read_text().splitlines()[0], path.read_text().splitlines()[-1]
        assert re.match(r"{{- if (and )?\.Values\.controlPlane\.enabled", first)
        assert last == "{{- end }}"
    assert "ClusterRole" not in rights
    assert rule["resources"] == ["vectorindexes"]
    assert set(rule["verbs"]) == {"get", "list", "create", "update", "delete"}
