"""The schema is recovered from the package: the real one, and forms that are made up here."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .fixtures import TYPES
from .runner import Terraform
from .stub.recovery import UnknownTypes, recover_schema
from .stub.schema import UnknownForm

PROVIDER = """
class Provider extends cdktn.TerraformProvider {
    static tfResourceType = "google";
    // alias - computed: false, optional: true, required: false
}
"""

THING = """
function thingPartToHclTerraform(struct) {
    const attrs = {
        size: {
            value: cdktn.numberToHclTerraform(struct.size),
            isBlock: false,
            type: "simple",
            storageClassType: "number",
        },
    };
}
class ThingPartOutputReference extends cdktn.ComplexObject {
    // size - computed: false, optional: false, required: true
    _size;
}
class Thing extends cdktn.TerraformResource {
    static tfResourceType = "google_thing";
    // made - computed: true, optional: false, required: false
    get made() {
        return MADE;
    }
    // part - computed: false, optional: true, required: false
    _part = new ThingPartList(this, "part", false);
    synthesizeHclAttributes() {
        const attrs = {
            part: {
                value: cdktn.listMapperHcl(thingPartToHclTerraform, true)(this._part.internalValue),
                isBlock: true,
                type: "list",
                storageClassType: "ThingPartList",
            },
        };
    }
}
"""

DECLARATIONS = """
export interface ThingPart {
    /**
    * How large. Possible values: ["S", "L"]
    *
    * {@link https://example.org/providers/hashicorp/google/1.2.3/docs Thing#size}
    */
    readonly size: number;
}
"""

STRING = "this.getStringAttribute('made')"


def make_wheel(folder: Path, made: str = STRING) -> Path:
    """Write a package with one resource, whose computed attribute is read by `made`."""
    texts = {
        "provider/index.js": PROVIDER,
        "provider/index.d.ts": DECLARATIONS,
        "thing/index.js": THING.replace("MADE", made),
        "thing/index.d.ts": DECLARATIONS,
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as files:
        for name, text in texts.items():
            entry = tarfile.TarInfo(f"package/lib/{name}")
            entry.size = len(text.encode())
            files.addfile(entry, io.BytesIO(text.encode()))
    path = folder / "package.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/provider@1.jsii.tgz", packed.getvalue())
    return path


def test_attributes_blocks_and_choices_are_read(tmp_path: Path) -> None:
    schema = recover_schema(make_wheel(tmp_path), ["google_thing"])

    part = {
        "attributes": {"size": {"type": "number", "required": True, "choices": ["S", "L"]}},
        "block_types": {},
    }
    assert schema["version"] == "1.2.3"
    assert schema["provider"]["block"]["attributes"] == {}
    assert schema["resources"]["google_thing"]["block"] == {
        "attributes": {"made": {"type": "string", "computed": True}},
        "block_types": {
            "part": {"nesting_mode": "list", "block": part, "min_items": 0, "max_items": 0}
        },
    }


@pytest.mark.parametrize(
    ("code", "type_"),
    [
        ("this.getBooleanAttribute('made')", "bool"),
        ("this.getNumberAttribute('made')", "number"),
        ("this.getListAttribute('made')", ["list", "string"]),
        ("cdktn.Fn.tolist(this.getNumberListAttribute('made'))", ["set", "number"]),
        ("this.getStringMapAttribute('made')", ["map", "string"]),
        ('new cdktn.StringMap(this, "made")', ["map", "string"]),
        ('new ThingPartList(this, "made", true)', ["set", ["object", {"size": "number"}]]),
        ('new ThingPartOutputReference(this, "made")', ["object", {"size": "number"}]),
    ],
)
def test_the_type_of_a_computed_attribute_is_read_from_its_code(
    tmp_path: Path, code: str, type_: Any
) -> None:
    schema = recover_schema(make_wheel(tmp_path, code), ["google_thing"])

    made = schema["resources"]["google_thing"]["block"]["attributes"]["made"]
    assert made == {"type": type_, "computed": True}


def test_a_form_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownForm, match="google_thing: the type of 'made'"):
        recover_schema(make_wheel(tmp_path, "this.guess('made')"), ["google_thing"])


def test_types_that_the_provider_does_not_have_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownTypes, match=r"has no data\.google_thing, google_thong"):
        recover_schema(make_wheel(tmp_path), ["google_thong", "google_thing", "data.google_thing"])


@pytest.mark.slow
def test_it_is_that_of_the_version_we_say(schema: dict[str, Any]) -> None:
    assert schema["version"] == "8.7.0"
    assert schema["resources"].keys() | {f"data.{name}" for name in schema["data_sources"]} == TYPES


@pytest.mark.slow
def test_it_knows_attributes_blocks_and_choices(schema: dict[str, Any]) -> None:
    service = schema["resources"]["google_cloud_run_v2_service"]["block"]
    template = service["block_types"]["template"]
    containers = template["block"]["block_types"]["containers"]

    assert service["attributes"]["name"] == {"type": "string", "required": True}
    assert service["attributes"]["uri"] == {"type": "string", "computed": True}
    assert "INGRESS_TRAFFIC_INTERNAL_ONLY" in service["attributes"]["ingress"]["choices"]
    assert (template["min_items"], template["max_items"]) == (1, 1)
    assert (containers["nesting_mode"], containers["max_items"]) == ("list", 0)
    assert containers["block"]["block_types"]["env"]["nesting_mode"] == "set"


@pytest.mark.slow
def test_it_holds_no_prose(schema: dict[str, Any]) -> None:
    """We don't have the right to redistribute the package's descriptions."""
    assert [text for text in texts_in(schema) if " " in text] == []


@pytest.mark.slow
def test_terraform_reads_the_same_schema(schema: dict[str, Any], resources: Terraform) -> None:
    [served] = json.loads(resources.run("providers", "schema", "-json"))[
        "provider_schemas"
    ].values()

    assert served["resource_schemas"].keys() == schema["resources"].keys()
    for name, there in served["resource_schemas"].items():
        assert shape(there["block"]) == shape(schema["resources"][name]["block"])


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, element in value.items():
            yield name
            yield from texts_in(element)
    elif isinstance(value, list):
        for element in value:
            yield from texts_in(element)


def shape(block: dict[str, Any]) -> dict[str, Any]:
    """Reduce a block to the facts that Terraform's schema and our schema share."""
    attributes = {
        name: (
            attribute["type"],
            *(attribute.get(flag, False) for flag in ("required", "optional", "computed")),
        )
        for name, attribute in block.get("attributes", {}).items()
    }
    nested = {
        name: (
            inner["nesting_mode"],
            inner.get("min_items", 0),
            inner.get("max_items", 0),
            shape(inner["block"]),
        )
        for name, inner in block.get("block_types", {}).items()
    }
    return {"attributes": attributes, "blocks": nested}
