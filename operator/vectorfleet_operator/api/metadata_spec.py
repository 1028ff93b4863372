"""What is known of rows' metadata: typed fields, and those that are searched as text. It changes in place."""

from pydantic import Field

from vectorfleet_shardnode.api import config

from . import base

_TWICE = "a field is declared twice in fields"
_TEXT_TWICE = "a field is named twice in text"


class SchemaField(base.Part):
    """A metadata field with a declared type."""

    name: base.ShortText = Field(description="Name of the field in a row's metadata.")
    type: config.FieldType = Field(
        description="keyword, integer, float, boolean or datetime, a string of ISO 8601; a list of them is "
        "taken as well."
    )


class Bm25(base.Part):
    """How texts are scored."""

    k1: float = Field(default=1.2, ge=0, le=10, description="How soon a word's repetition saturates.")
    b: float = Field(default=0.75, ge=0, le=1, description="How much a text's length counts.")


class Schema(base.Part):
    """Declared metadata: typed and indexed for filters, or searched as text."""

    cel_rules = (
        base.Rule(
            "!has(self.fields) || self.fields.all(one, self.fields.exists_one(two, two.name == one.name))",
            _TWICE,
        ),
        base.Rule(
            "!has(self.text) || self.text.all(one, self.text.exists_one(two, two == one))", _TEXT_TWICE
        ),
    )

    fields: tuple[SchemaField, ...] = Field(
        default=(),
        max_length=128,
        description="Typed fields: a write with a value of another type is refused, a filter that "
        "compares with one too, and dates compare as "
        "points in time. A field need not be declared to be filtered; what is stored is never checked.",
    )
    text: tuple[base.ShortText, ...] = Field(
        default=(),
        max_length=16,
        description="Fields that are searched as text, by BM25; strings, or lists of strings.",
    )
    language: config.Language = Field(
        default=config.Language.ENGLISH, description="Language of the texts: their stems and stop words."
    )
    bm25: Bm25 = Field(default=Bm25(), description="How texts are scored.")

    def broken_rule(self) -> str:
        """Return why the fields exclude each other, or an empty string."""
        if len({field.name for field in self.fields}) < len(self.fields):
            return _TWICE
        return _TEXT_TWICE if len(set(self.text)) < len(self.text) else ""

    def settled(self) -> config.Schema:
        """Return the schema as the data plane reads it."""
        return config.Schema(
            fields=tuple(config.SchemaField(name=field.name, type=field.type) for field in self.fields),
            text=self.text,
            language=self.language,
            bm25=config.Bm25Parameters(k1=self.bm25.k1, b=self.bm25.b),
        )
