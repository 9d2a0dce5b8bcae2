//! The table itself. Addresses and variables are those that the vendors' own clients use.

use super::{
    super::{Instructions, Kind, OutputMax, Quirks, Schemas, Thinking, ThinkingBack},
    KeyNeed, Preset,
};

const COMPATIBLE: Quirks = Quirks::COMPATIBLE;

/// A vendor that speaks Chat Completions and wants a key.
const VENDOR: Preset = Preset {
    name: "",
    aliases: &[],
    kind: Kind::OpenAiChat,
    base_url: None,
    base_path: "",
    base_variables: &[],
    key: KeyNeed::Needed,
    key_variables: &[],
    quirks: COMPATIBLE,
};

/// A server of one's own that speaks it.
const SERVER: Preset = Preset { key: KeyNeed::Optional, base_path: "/v1", ..VENDOR };

const OPENAI: Preset = Preset {
    base_url: Some("https://api.openai.com/v1"),
    base_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    key_variables: &["OPENAI_API_KEY"],
    quirks: Quirks {
        instructions: Instructions::Developer,
        output_max: OutputMax::CompletionTokens,
        thinking: Thinking::Effort,
        schemas: Schemas::Strict,
        closes: true,
        ..COMPATIBLE
    },
    ..VENDOR
};

pub(super) const PRESETS: &[Preset] = &[
    Preset {
        name: "anthropic",
        aliases: &["claude"],
        kind: Kind::Anthropic,
        base_url: Some("https://api.anthropic.com"),
        base_variables: &["ANTHROPIC_BASE_URL"],
        key_variables: &["ANTHROPIC_API_KEY"],
        ..VENDOR
    },
    Preset {
        name: "openai",
        aliases: &["openai_responses"],
        kind: Kind::OpenAiResponses,
        ..OPENAI
    },
    Preset { name: "openai_chat", aliases: &["openai_completions"], ..OPENAI },
    Preset {
        name: "gemini",
        aliases: &["google", "google_genai", "google_ai_studio"],
        kind: Kind::Gemini,
        base_url: Some("https://generativelanguage.googleapis.com"),
        base_variables: &["GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL"],
        key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        ..VENDOR
    },
    Preset {
        name: "vertex",
        aliases: &["vertex_ai", "google_vertex", "google_vertex_ai"],
        kind: Kind::Vertex,
        base_url: Some("https://{location}-aiplatform.googleapis.com"),
        base_variables: &["GOOGLE_VERTEX_BASE_URL"],
        key_variables: &["GOOGLE_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"],
        ..VENDOR
    },
    Preset {
        name: "ollama",
        kind: Kind::Ollama,
        base_url: Some("http://127.0.0.1:11434"),
        base_variables: &["OLLAMA_HOST", "OLLAMA_BASE_URL"],
        key: KeyNeed::Optional,
        key_variables: &["OLLAMA_API_KEY"],
        ..VENDOR
    },
    Preset {
        name: "ollama_cloud",
        kind: Kind::Ollama,
        base_url: Some("https://ollama.com"),
        key_variables: &["OLLAMA_API_KEY"],
        ..VENDOR
    },
    Preset {
        name: "azure",
        aliases: &["azure_openai"],
        base_path: "/openai/v1",
        base_variables: &["AZURE_OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"],
        key_variables: &["AZURE_OPENAI_API_KEY"],
        quirks: Quirks { key_header: Some("api-key"), ..OPENAI.quirks },
        ..VENDOR
    },
    Preset {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        base_variables: &["OPENROUTER_BASE_URL"],
        key_variables: &["OPENROUTER_API_KEY"],
        quirks: Quirks {
            thinking: Thinking::Budget,
            thinking_back: ThinkingBack::Details,
            schemas: Schemas::Strict,
            cache_marks: true,
            closes: true,
            // The list for everybody needs no key, and so proves none.
            models_path: "/models/user",
            ..COMPATIBLE
        },
        ..VENDOR
    },
    Preset {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        base_variables: &["GROQ_BASE_URL"],
        key_variables: &["GROQ_API_KEY"],
        quirks: Quirks {
            thinking: Thinking::Effort,
            schemas: Schemas::Strict,
            closes: true,
            ..COMPATIBLE
        },
        ..VENDOR
    },
    Preset {
        name: "deepseek",
        base_url: Some("https://api.deepseek.com"),
        base_variables: &["DEEPSEEK_BASE_URL"],
        key_variables: &["DEEPSEEK_API_KEY"],
        quirks: Quirks {
            thinking: Thinking::Switch,
            thinking_back: ThinkingBack::ContentAlways,
            schemas: Schemas::Worded,
            closes: true,
            ..COMPATIBLE
        },
        ..VENDOR
    },
    Preset {
        name: "mistral",
        aliases: &["mistralai"],
        base_url: Some("https://api.mistral.ai/v1"),
        base_variables: &["MISTRAL_BASE_URL"],
        key_variables: &["MISTRAL_API_KEY"],
        // It refuses fields that it does not know, and tells its usage unasked.
        quirks: Quirks { schemas: Schemas::Strict, usage_asked: false, closes: true, ..COMPATIBLE },
        ..VENDOR
    },
    Preset {
        name: "xai",
        aliases: &["grok", "x_ai"],
        base_url: Some("https://api.x.ai/v1"),
        base_variables: &["XAI_BASE_URL"],
        key_variables: &["XAI_API_KEY"],
        quirks: Quirks { schemas: Schemas::Strict, ..COMPATIBLE },
        ..VENDOR
    },
    Preset {
        name: "together",
        aliases: &["together_ai", "togetherai"],
        base_url: Some("https://api.together.xyz/v1"),
        base_variables: &["TOGETHER_BASE_URL"],
        key_variables: &["TOGETHER_API_KEY"],
        ..VENDOR
    },
    Preset {
        name: "fireworks",
        aliases: &["fireworks_ai"],
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        base_variables: &["FIREWORKS_BASE_URL"],
        key_variables: &["FIREWORKS_API_KEY"],
        quirks: Quirks { thinking_back: ThinkingBack::Content, ..COMPATIBLE },
        ..VENDOR
    },
    Preset {
        name: "cerebras",
        base_url: Some("https://api.cerebras.ai/v1"),
        base_variables: &["CEREBRAS_BASE_URL"],
        key_variables: &["CEREBRAS_API_KEY"],
        quirks: Quirks {
            output_max: OutputMax::CompletionTokens,
            schemas: Schemas::Strict,
            ..COMPATIBLE
        },
        ..VENDOR
    },
    Preset {
        name: "moonshot",
        aliases: &["moonshotai", "kimi"],
        base_url: Some("https://api.moonshot.ai/v1"),
        base_variables: &["MOONSHOT_BASE_URL"],
        key_variables: &["MOONSHOT_API_KEY"],
        quirks: Quirks {
            thinking: Thinking::SwitchOn,
            thinking_back: ThinkingBack::ContentAlways,
            schemas: Schemas::Worded,
            ..COMPATIBLE
        },
        ..VENDOR
    },
    Preset {
        name: "zai",
        aliases: &["z_ai", "zhipu", "zhipuai", "glm", "bigmodel"],
        base_url: Some("https://api.z.ai/api/paas/v4"),
        base_variables: &["ZAI_BASE_URL"],
        key_variables: &["ZAI_API_KEY", "ZHIPU_API_KEY", "ZHIPUAI_API_KEY"],
        quirks: Quirks {
            thinking: Thinking::Switch,
            thinking_back: ThinkingBack::Content,
            schemas: Schemas::Worded,
            ..COMPATIBLE
        },
        ..VENDOR
    },
    Preset {
        name: "perplexity",
        base_url: Some("https://api.perplexity.ai"),
        base_variables: &["PERPLEXITY_BASE_URL"],
        key_variables: &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
        quirks: Quirks { usage_asked: false, ..COMPATIBLE },
        ..VENDOR
    },
    Preset {
        name: "nvidia",
        aliases: &["nim", "nvidia_nim"],
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        base_variables: &["NVIDIA_BASE_URL", "NIM_BASE_URL"],
        key_variables: &["NVIDIA_API_KEY", "NIM_API_KEY"],
        ..VENDOR
    },
    Preset {
        name: "huggingface",
        aliases: &["hugging_face", "hf"],
        base_url: Some("https://router.huggingface.co/v1"),
        base_variables: &["HF_BASE_URL"],
        key_variables: &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
        ..VENDOR
    },
    Preset {
        name: "sambanova",
        base_url: Some("https://api.sambanova.ai/v1"),
        base_variables: &["SAMBANOVA_BASE_URL"],
        key_variables: &["SAMBANOVA_API_KEY"],
        ..VENDOR
    },
    Preset {
        name: "deepinfra",
        base_url: Some("https://api.deepinfra.com/v1/openai"),
        base_variables: &["DEEPINFRA_BASE_URL"],
        key_variables: &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
        ..VENDOR
    },
    Preset {
        name: "vllm",
        base_url: Some("http://127.0.0.1:8000/v1"),
        base_variables: &["VLLM_BASE_URL"],
        key_variables: &["VLLM_API_KEY"],
        quirks: Quirks { thinking_back: ThinkingBack::Reasoning, ..COMPATIBLE },
        ..SERVER
    },
    Preset {
        name: "llamacpp",
        aliases: &["llama_cpp", "llama_server"],
        base_url: Some("http://127.0.0.1:8080/v1"),
        base_variables: &["LLAMACPP_BASE_URL"],
        key_variables: &["LLAMA_API_KEY"],
        quirks: Quirks { thinking_back: ThinkingBack::Content, closes: true, ..COMPATIBLE },
        ..SERVER
    },
    Preset {
        name: "lmstudio",
        aliases: &["lm_studio"],
        base_url: Some("http://127.0.0.1:1234/v1"),
        base_variables: &["LMSTUDIO_BASE_URL"],
        key_variables: &["LMSTUDIO_API_KEY"],
        ..SERVER
    },
];

/// Names that lead nowhere: why, and what to use instead.
pub(super) const GONE: &[(&[&str], &str)] = &[
    (
        &["github_models", "github"],
        "GitHub has closed it, and every address of it answers 410; use `openai`, `azure` or \
         `openrouter`, which serve the same models",
    ),
    (
        &["antigravity"],
        "it serves its own editor and gives out no keys; use `gemini` with GEMINI_API_KEY, or \
         `vertex`, for the same models",
    ),
    (
        &["claude_cli", "claude_code"],
        "it is a command line agent with tools of its own and no model's address; agents as \
         backends are to come, use `anthropic` with ANTHROPIC_API_KEY until then",
    ),
];
