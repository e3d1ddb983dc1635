# What a type checker sees of the drop-in clients: openai's own, with every signature and overload.
from openai import *  # noqa: F403  openai itself defines what it exports
from openai import (
    VERSION as VERSION,
)
from openai import (
    APIResponse as APIResponse,
)
from openai import (
    AsyncAPIResponse as AsyncAPIResponse,
)
from openai import (
    AsyncAzureOpenAI as AsyncAzureOpenAI,
)
from openai import (
    AzureOpenAI as AzureOpenAI,
)
from openai import (
    api_key as api_key,
)
from openai import (
    api_type as api_type,
)
from openai import (
    api_version as api_version,
)
from openai import (
    audio as audio,
)
from openai import (
    azure_ad_token as azure_ad_token,
)
from openai import (
    azure_ad_token_provider as azure_ad_token_provider,
)
from openai import (
    azure_endpoint as azure_endpoint,
)
from openai import (
    base_url as base_url,
)
from openai import (
    batches as batches,
)
from openai import (
    beta as beta,
)
from openai import (
    chat as chat,
)
from openai import (
    completions as completions,
)
from openai import (
    default_headers as default_headers,
)
from openai import (
    default_query as default_query,
)
from openai import (
    embeddings as embeddings,
)
from openai import (
    files as files,
)
from openai import (
    fine_tuning as fine_tuning,
)
from openai import (
    http_client as http_client,
)
from openai import (
    images as images,
)
from openai import (
    lib as lib,
)
from openai import (
    max_retries as max_retries,
)
from openai import (
    models as models,
)
from openai import (
    moderations as moderations,
)
from openai import (
    organization as organization,
)
from openai import (
    project as project,
)
from openai import (
    pydantic_function_tool as pydantic_function_tool,
)
from openai import (
    resources as resources,
)
from openai import (
    responses as responses,
)
from openai import (
    timeout as timeout,
)
from openai import (
    types as types,
)
from openai import (
    uploads as uploads,
)
from openai import (
    vector_stores as vector_stores,
)
