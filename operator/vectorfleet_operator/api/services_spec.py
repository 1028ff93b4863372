"""The services that an index names. All of it changes in place: gateways restart, shards do not."""

from typing import Annotated

from pydantic import Field

from vectorfleet_shardnode.api import services

from . import base, workload_spec

Url = Annotated[str, Field(max_length=2048, pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$")]
_SPECIAL = "the url may not name a link-local or special address"
_LINK_LOCAL = r"^https?://(169[.]254[.]|\\[[fF][eE][89aAbB])"
_PLAIN_RERANKER = services.Reranker(url="http://reranker", model="none")
_PLAIN = services.Embedder(url="http://embedder", model="none")


Concurrency = Annotated[int, Field(ge=1, le=64, description="Requests in flight, of one gateway.")]
RequestsPerSecond = Annotated[
    float | None,
    Field(ge=0.01, le=10_000, description="Requests a second, of one gateway; no limit where not given."),
]
TimeoutSeconds = Annotated[int, Field(ge=1, le=600, description="Seconds that one request may take.")]
Retries = Annotated[int, Field(ge=0, le=10, description="How often a request is sent again after it failed.")]


class _Service(base.Part):
    """Where a service is, and its key."""

    cel_rules = (base.Rule(f"!self.url.matches('{_LINK_LOCAL}')", _SPECIAL),)

    url: Url
    secret_ref: base.SecretKeyReference | None = Field(
        default=None,
        description="Entry of a Secret with the service's API key. It rotates without a restart.",
    )

    def broken_rule(self) -> str:
        """Return why no service may be at the URL, or an empty string."""
        try:
            services.check_url(self.url)
        except ValueError as wrong:
            return str(wrong)
        return ""


class TextRole(base.Part):
    """How texts of one kind are sent, where the model wants to know what they are."""

    prefix: Annotated[str, Field(max_length=256)] = Field(
        default="", description='Put before each text, such as "query: " for E5.'
    )
    input_type: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Sent as input_type; nothing is sent where it is empty."
    )

    def settled(self) -> services.TextRole:
        """Return the role as the data plane reads it."""
        return services.TextRole(prefix=self.prefix, input_type=self.input_type)


class Embedder(_Service):
    """A service with the form of OpenAI's /v1/embeddings that turns text into vectors."""

    url: Url = Field(description="Base URL, such as http://embedder:8000/v1; /embeddings is appended.")
    model: base.ShortText | None = Field(
        default=None, description="What the service calls the model; spec.model.name where not given."
    )
    field: base.ShortText | None = Field(
        default=None,
        description="Metadata field that the text of a row is kept in. The first of schema.text where not "
        "given, or text where there is none.",
    )
    query: TextRole = Field(default=TextRole(), description="How texts of queries are sent.")
    document: TextRole = Field(default=TextRole(), description="How texts of rows are sent.")
    send_dimensions: bool = Field(
        default=False, description="Whether dimensions are sent, for models whose vectors can be cut."
    )
    batch_size: int = Field(
        default=_PLAIN.batch_size, ge=4, le=2048, description="Texts of one request, at most."
    )
    concurrency: Concurrency = _PLAIN.concurrency
    requests_per_second: RequestsPerSecond = None
    timeout_seconds: TimeoutSeconds = 10
    retries: Retries = _PLAIN.retries
    cache_size: base.Quantity = Field(
        default="32Mi", description='Memory for vectors of texts, of one gateway; "0" keeps none.'
    )

    def settled(self, model: str) -> services.Embedder:
        """Return the embedder as the data plane reads it; `model` is what the index calls its model."""
        return services.Embedder(
            url=self.url,
            model=self.model or model,
            field=self.field,
            query=self.query.settled(),
            document=self.document.settled(),
            send_dimensions=self.send_dimensions,
            batch_size=self.batch_size,
            concurrency=self.concurrency,
            requests_per_second=self.requests_per_second,
            timeout_seconds=self.timeout_seconds,
            retries=self.retries,
            cache_bytes=min(int(workload_spec.amount(self.cache_size)), 2**40),
        )


class Reranker(_Service):
    """A service with the form of Cohere's, Jina's and vLLM's /v1/rerank that judges texts against a query."""

    url: Url = Field(description="Base URL, such as http://reranker:8000/v1; /rerank is appended.")
    model: base.ShortText = Field(description="What the service calls its model.")
    field: base.ShortText | None = Field(
        default=None,
        description="Metadata field that is judged. Where not given, the one that texts of rows are kept in.",
    )
    batch_size: int = Field(
        default=_PLAIN_RERANKER.batch_size, ge=1, le=1000, description="Texts of one request, at most."
    )
    max_characters: int = Field(
        default=_PLAIN_RERANKER.max_characters,
        ge=1,
        le=65_536,
        description="Of a text; the rest is not sent.",
    )
    concurrency: Concurrency = _PLAIN_RERANKER.concurrency
    requests_per_second: RequestsPerSecond = None
    timeout_seconds: TimeoutSeconds = 10
    retries: Retries = _PLAIN_RERANKER.retries

    def settled(self) -> services.Reranker:
        """Return the reranker as the data plane reads it."""
        return services.Reranker.model_validate(self.model_dump(exclude={"secret_ref"}))
