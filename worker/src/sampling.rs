//! How the next token is chosen.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use serde_json::Value;

use crate::slots::TokenId;
use crate::wire::{Format, Options};

/// Tokens of the reply that the repetition penalty looks back on; Ollama's default.
const PENALTY_WINDOW: i32 = 64;
/// What a token costs that goes on copying: 0.8 after three copied tokens in a row, 1.75 times as much with each more;
/// llama.cpp's usual figures, but for one token less that is free. Facts of a few words stand above it, a whole line does not.
const COPYING: (f32, f32, i32) = (0.8, 1.75, 3);
/// Tokens that are looked back on for a copy: ten lines or so.
const COPYING_WINDOW: i32 = 512;

/// Chooses the tokens of one reply.
pub struct Chooser {
    chain: LlamaSampler,
    grammar: Option<LlamaSampler>,
}

impl Chooser {
    /// A chooser by the request's options, held to its format, that keeps from copying `copied` where there is any.
    ///
    /// # Errors
    /// A sentence for the client when the schema cannot be turned into a grammar.
    pub fn new(
        model: &LlamaModel,
        options: &Options,
        format: Option<&Format>,
        copied: &[TokenId],
    ) -> Result<Self, String> {
        let mut links = Vec::new();
        if !copied.is_empty() {
            let (least, growth, free) = COPYING;
            let mut dry = LlamaSampler::dry(model, least, growth, free, COPYING_WINDOW, ["\n"]);
            dry.accept_many(copied.iter().map(|token| LlamaToken(*token)));
            links.push(dry);
        }
        if options.repeat_penalty != 1.0 {
            links.push(LlamaSampler::penalties(model.n_vocab(), PENALTY_WINDOW, options.repeat_penalty, 0.0, 0.0));
        }
        if options.temperature <= 0.0 {
            links.push(LlamaSampler::greedy());
        } else {
            if options.top_k > 0 {
                links.push(LlamaSampler::top_k(options.top_k));
            }
            links.push(LlamaSampler::top_p(options.top_p, 1));
            links.push(LlamaSampler::temp(options.temperature));
            links.push(LlamaSampler::dist(options.seed));
        }
        let grammar = format.map(|format| grammar(model, format)).transpose()?;
        Ok(Self { chain: LlamaSampler::chain_simple(links), grammar })
    }

    /// Chooses and accepts the token that follows the batch's entry `at`; `None` when the grammar allows none.
    pub fn choose(&mut self, context: &LlamaContext<'_>, at: i32) -> Option<LlamaToken> {
        let mut candidates = context.token_data_array_ith(at);
        self.chain.apply(&mut candidates);
        let mut token = candidates.selected_token()?;
        if let Some(grammar) = &mut self.grammar {
            // A grammar over the whole vocabulary costs more than a decoding step. Most free choices satisfy it
            // anyway, so one token is tried first and the whole is filtered only when that one is refused.
            let mut one = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 1.0, 0.0)], false);
            grammar.apply(&mut one);
            if one.data.first().is_none_or(|left| left.logit() == f32::NEG_INFINITY) {
                let mut candidates = context.token_data_array_ith(at);
                grammar.apply(&mut candidates);
                candidates.data.retain(|left| left.logit() > f32::NEG_INFINITY);
                if candidates.data.is_empty() {
                    return None;
                }
                self.chain.apply(&mut candidates);
                token = candidates.selected_token()?;
            }
            grammar.try_accept(token).ok()?;
        }
        self.chain.accept(token);
        Some(token)
    }
}

fn grammar(model: &LlamaModel, format: &Format) -> Result<LlamaSampler, String> {
    let schema = match format {
        Format::Json => serde_json::json!({ "type": "object" }),
        Format::Schema(schema) => Value::Object(schema.clone()),
    };
    let rules = llama_cpp_2::json_schema_to_grammar(&schema.to_string())
        .map_err(|fault| format!("format: this JSON schema cannot be turned into a grammar ({fault})"))?;
    LlamaSampler::grammar(model, &rules, "root").map_err(|fault| format!("format: the grammar was refused ({fault})"))
}
