"""Settings of the servers that the application stands on: each embedded or absent, unless its address is set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

from api.settings import addresses
from api.settings.places import Place
from api.settings.sentences import wrong


class Servers(BaseSettings):
    """PostgreSQL, Redis, Elasticsearch and Kafka."""

    database_url: Annotated[
        str | None, Field(description="PostgreSQL to use, postgresql://user:password@host:port/name; none: embedded.")
    ] = None
    redis_url: Annotated[
        str | None,
        Field(description="Redis or Valkey to use, redis://host:port/0; none: embedded, where there is one."),
    ] = None
    elasticsearch_url: Annotated[
        str | None,
        Field(description="Elasticsearch 9 to search in, http://user:password@host:9200; none: PostgreSQL searches."),
    ] = None
    elasticsearch_prefix: Annotated[
        str,
        Field(pattern=r"^[a-z][a-z0-9_.-]{0,39}$", description="What the names of our indexes and aliases begin with."),
    ] = "foliolog"
    kafka_bootstrap_servers: Annotated[
        str | None, Field(description="Kafka to publish the log to, host:port,host:port; none: nothing is published.")
    ] = None
    kafka_topic: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_.-]{1,200}$", description="Topic that the log is published to.")
    ] = "foliolog.events"
    kafka_partitions: Annotated[
        int, Field(ge=1, le=1000, description="Partitions of the topic when `migrate` makes it.")
    ] = 12
    kafka_replication: Annotated[
        int,
        Field(
            ge=-1,
            le=10,
            description="Copies of each partition when `migrate` makes the topic; -1: the broker's default.",
        ),
    ] = -1
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Field(description="How Kafka is spoken to.")
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Field(description="How we say who we are, with SASL.")
    ] = "SCRAM-SHA-512"
    kafka_username: Annotated[str | None, Field(description="Who we are to Kafka, with SASL.")] = None
    kafka_password: Annotated[SecretStr | None, Field(description="Its password.")] = None
    kafka_ca_file: Annotated[
        Place | None, Field(description="Certificates that Kafka's must be signed by, PEM; none: the system's.")
    ] = None
    data_dir: Annotated[
        Place, Field(validate_default=False, description="Folder for the data of embedded servers.")
    ] = Path(".data")

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: str | None) -> str | None:
        return url if url is None else addresses.postgresql(url, "say postgresql://user:password@host:port/name")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: str | None) -> str | None:
        return url if url is None else addresses.redis(url, "say redis://host:port/0, rediss://... or unix:///path")

    @field_validator("elasticsearch_url")
    @classmethod
    def _is_elasticsearch(cls, url: str | None) -> str | None:
        return url if url is None else addresses.http(url, "say http://host:9200 or https://user:password@host:9200")

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _are_brokers(cls, listed: str | None) -> str | None:
        return (
            listed
            if listed is None
            else addresses.brokers(listed, "say host:port, or several with commas between them")
        )

    @field_validator("kafka_topic")
    @classmethod
    def _is_a_topic(cls, name: str) -> str:
        if name in {".", ".."}:
            raise wrong("Kafka has no topic of that name, say another")
        return name

    @model_validator(mode="after")
    def _kafka_knows_us(self) -> Servers:
        with_sasl = self.kafka_security_protocol.startswith("SASL")
        if with_sasl is not (self.kafka_username is not None and self.kafka_password is not None):
            raise PydanticCustomError(
                "incomplete",
                "KAFKA_USERNAME and KAFKA_PASSWORD belong to KAFKA_SECURITY_PROTOCOL=SASL_SSL or SASL_PLAINTEXT: "
                "set all three, or none",
            )
        return self
