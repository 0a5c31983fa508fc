import { gpt2Pattern } from './preTokenizer.ts'

/**
 * How the BPE vocabularies named by `tokenizer.ggml.pre` split text: names and behaviour as in llama.cpp
 * (`src/llama-vocab.cpp`), patterns in Oniguruma syntax, where a model has a tokenizer.json as it stands there.
 */
export interface GgufPreTokenizer {
  /** Applied one after the other; a match and the text between matches are pieces of their own. */
  patterns: readonly string[]
  /** Words that are a token are not merged. */
  ignoreMerges?: boolean
  addBos?: boolean
  /** The reference tokenizer composes characters first; llama.cpp does not, which gives other tokens than in training. */
  composes?: boolean
  /** Raw text with U+2581 for spaces and `<0xNN>` tokens, not GPT-2's byte characters. */
  isSentencePieceLike?: boolean
}

const llama3Pattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
const qwen2Pattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
const qwen35Pattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
const gpt4oPattern =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
const tekkenPattern =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const cjkAndKana = codePoints('4E00-9FA5 3040-30FF')
const cjkAndHangul = codePoints('4E00-9FA5 800-4E00 AC00-D7FF')
const deepseek3Main =
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const deepseek3: readonly string[] = ['\\p{N}{1,3}', `[${cjkAndKana}]+`, deepseek3Main]
const bloomPattern = ` ?[^(\\s|.,!?${codePoints('2026 3002 FF0C 3001 964 6D4 60C')})]+`
/** Cased letters as DeepSeek LLM lists them, code points and ranges. */
const deepseekLlmLetters = codePoints(
  'B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F 386 388-38A 38C ' +
    '38E-3A1 3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF ' +
    '1D00-1D2B 1D6B-1D77 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B ' +
    '1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC ' +
    '1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 212A-212D 212F-2134 ' +
    '2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D ' +
    'A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A ' +
    '10400-1044F 104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943',
)
const digit = '\\p{N}'

const gpt2: GgufPreTokenizer = { patterns: [gpt2Pattern] }
const llama3: GgufPreTokenizer = { patterns: [llama3Pattern], ignoreMerges: true, addBos: true }
const qwen2Split: GgufPreTokenizer = { patterns: [qwen2Pattern] }
const starcoder: GgufPreTokenizer = { patterns: [digit, gpt2Pattern] }
const gpt4o: GgufPreTokenizer = { patterns: [gpt4oPattern] }
const deepseekV3: GgufPreTokenizer = { patterns: deepseek3 }
const bloom: GgufPreTokenizer = { patterns: [bloomPattern] }
const bailing: GgufPreTokenizer = {
  patterns: [
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  ],
}
const tinyAya: GgufPreTokenizer = { patterns: ['\\d{1,3}(?=(?:\\d{3})*\\b)', gpt4oPattern] }
const gemma4: GgufPreTokenizer = {
  // Merges never cross the end of a line; everything else is one word.
  patterns: ['[^\\n]+|[\\n]+'],
  isSentencePieceLike: true,
  addBos: true,
}

const table: Record<string, GgufPreTokenizer> = {
  default: {
    patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', gpt2Pattern, '\\p{N}+', '[0-9][0-9][0-9]'],
  },
  minicpm5: {
    patterns: [
      '\\p{N}{1,3}',
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    ],
    ignoreMerges: true,
  },
  llama3,
  'llama-v3': llama3,
  'llama-bpe': llama3,
  falcon3: llama3,
  'falcon-h1': llama3,
  pixtral: llama3,
  'midm-2.0': llama3,
  lfm2: llama3,
  'jina-v5-nano': llama3,
  dbrx: { patterns: [llama3Pattern] },
  'smaug-bpe': { patterns: [llama3Pattern] },
  glm4: { patterns: [llama3Pattern] },
  'chatglm-bpe': { patterns: [llama3Pattern] },
  'deepseek-llm': {
    patterns: [
      '[\\r\\n]',
      `\\s?[A-Za-z${deepseekLlmLetters}]+`,
      `\\s?[!-/:-~${codePoints('FF01-FF0F FF1A-FF5E 2018-201F 3000-3002')}]+`,
      '\\s+\\z',
      `[${cjkAndHangul}]+`,
      '\\p{N}+',
    ],
  },
  'deepseek-coder': {
    patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', `[${cjkAndHangul}]+`, digit],
  },
  'deepseek-v3': deepseekV3,
  'hunyuan-dense': deepseekV3,
  'joyai-llm': deepseekV3,
  hy_v4: deepseekV3,
  spark2_5: {
    patterns: [
      '\\p{N}{1,3}',
      `[${cjkAndKana}]+`,
      '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+',
      digit,
    ],
  },
  youtu: {
    patterns: [
      `[${codePoints('AC00-D7A3 3131-318E')}]+|[${codePoints('FF01 2026 201C 201D 2018 2019 2014 FF1A FF1B FF0C 3001-303F FE30-FE4F')}]+|[${codePoints('3105-312F')}]+|[${cjkAndKana}]+`,
      gpt4oPattern.replace('\\p{N}{1,3}', '\\p{N}'),
    ],
    ignoreMerges: true,
  },
  falcon: {
    patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', gpt2Pattern, '[0-9][0-9][0-9]'],
  },
  mpt: gpt2,
  'gpt-2': gpt2,
  'phi-2': gpt2,
  'jina-es': gpt2,
  'jina-de': gpt2,
  gigachat: gpt2,
  'jina-v2-es': gpt2,
  'jina-v2-de': gpt2,
  'a.x-4.0': gpt2,
  mellum: gpt2,
  'modern-bert': gpt2,
  'jina-v1-en': gpt2,
  'jina-v2-code': gpt2,
  'roberta-bpe': gpt2,
  olmo: gpt2,
  jais: gpt2,
  exaone4: gpt2,
  trillion: gpt2,
  'granite-docling': gpt2,
  'jais-2': {
    patterns: [
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}",
    ],
  },
  gemma4,
  'granite-embed-multi-311m': gemma4,
  'sarvam-moe': { patterns: gemma4.patterns, isSentencePieceLike: true },
  starcoder,
  refact: starcoder,
  'command-r': starcoder,
  smollm: starcoder,
  codeshell: starcoder,
  exaone: starcoder,
  'minerva-7b': starcoder,
  mellum2: starcoder,
  qwen2: { patterns: [qwen2Pattern], composes: true },
  'deepseek-r1-qwen': qwen2Split,
  kormo: qwen2Split,
  f2llmv2: qwen2Split,
  megrez: qwen2Split,
  stablelm2: qwen2Split,
  hunyuan: qwen2Split,
  'solar-open': qwen2Split,
  'grok-2': qwen2Split,
  qwen35: { patterns: [qwen35Pattern] },
  'poro-chat': bloom,
  bloom,
  'gpt3-finnish': bloom,
  viking: { patterns: [bloomPattern, digit] },
  tekken: { patterns: [tekkenPattern], ignoreMerges: true, addBos: true },
  'exaone-moe': {
    patterns: [
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    ],
  },
  chameleon: {
    patterns: [
      '<sentinel:[0-9]+>',
      '(?:IMGIMG)[A-I]{1,4}Z',
      '[\\t\\n]|    |  ',
      digit,
      '[\\p{P}!-/:-@\\[-`{-~]',
      gpt2Pattern,
    ],
    addBos: true,
  },
  'gpt-4o': gpt4o,
  llama4: gpt4o,
  kanana2: gpt4o,
  talkie: gpt4o,
  'minimax-m2': gpt4o,
  'granite-embed-multi-97m': { patterns: [gpt4oPattern], ignoreMerges: true },
  tiny_aya: tinyAya,
  cohere2moe: tinyAya,
  superbpe: { patterns: ['\\p{N}+', '(?=(?:\\d{3})+(?!\\d))'] },
  bailingmoe: bailing,
  bailingmoe2: bailing,
  'llada-moe': bailing,
  'seed-coder': {
    patterns: [
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    ],
  },
  'kimi-k2': {
    patterns: [
      "\\p{Han}+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    ],
  },
  ufakzeka: {
    patterns: [qwen2Pattern.slice(qwen2Pattern.indexOf('|[^') + 1)],
  },
  afmoe: {
    patterns: [
      // Groups of three digits, counted from the end of a number.
      '\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))',
      `[${codePoints('4E00-9FFF 3400-4DBF F900-FAFF 3040-30FF FF65-FF9F 2F00-2FDF E40-E7F E80-EFF 1780-17FF 1000-109F AA60-AA7F A9E0-A9FF AC00-D7AF 1100-11FF')}]+`,
      deepseek3Main,
    ],
  },
  laguna: { patterns: ['[^\\n]+|[\\n]+', qwen2Pattern] },
}

/** What a name of `tokenizer.ggml.pre` stands for, or undefined; every name llama.cpp knows for BPE is here. */
export function ggufPreTokenizer(name: string): GgufPreTokenizer | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

export const ggufPreTokenizerNames: readonly string[] = Object.keys(table)

/** Members of a character class from hexadecimal code points and ranges. */
function codePoints(list: string): string {
  return list.replace(/[0-9A-F]+/g, '\\u{$&}').replaceAll(' ', '')
}
