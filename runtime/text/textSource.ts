import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { type GgufFile, readGguf } from '../weights/gguf.ts'
import { maxConfigBytes, readOptionalModelFile } from '../weights/modelFile.ts'
import type { ChatTemplateSource, SpecialTokenTexts } from './chat/chatTemplate.ts'
import { type FimTokens, findFimTokens } from './tokenizer/fimTokens.ts'
import { tokenizerFromGguf } from './tokenizer/ggufTokenizer.ts'
import { JsonReader } from './tokenizer/jsonReader.ts'
import type { Tokenizer } from './tokenizer/tokenizer.ts'
import {
  emptyTokenizerConfig,
  parseTokenizerConfig,
  type TokenizerConfig,
} from './tokenizer/tokenizerConfig.ts'
import { tokenizerFromJson } from './tokenizer/tokenizerJson.ts'

/** The largest tokenizer.json seen so far has 37 MB. */
const maxTokenizerBytes = 2 ** 29

/** Where a model's tokenizer and chat template are. */
export type TextSource = { kind: 'folder'; dir: string } | { kind: 'gguf'; path: string }

export interface LoadedText {
  tokenizer: Tokenizer
  specialTokens: SpecialTokenTexts
  /** undefined: the model has none. */
  template: ChatTemplateSource | undefined
  /** File with the template, for messages. */
  templatePath: string
  /** A chat without the BOS that the tokenizer adds to texts gets it: docs/decisions/chat-bos.md. */
  addsBosToChats: boolean
  fim: FimTokens | undefined
}

/** Reads tokenizer and chat template. @throws FileFormatError naming the file that is broken or missing */
export function loadText(source: TextSource): Promise<LoadedText> {
  return source.kind === 'gguf' ? loadGguf(source.path) : loadFolder(source.dir)
}

async function loadGguf(path: string): Promise<LoadedText> {
  const file = await readGguf(path)
  const tokenizer = tokenizerFromGguf(file)
  const text = (id: number | undefined) =>
    id === undefined ? undefined : new TextDecoder().decode(tokenizer.tokenBytes(id))
  const id = (key: string) => {
    const value = file.metadata.get(key)
    return typeof value === 'number' ? value : undefined
  }
  return {
    tokenizer,
    specialTokens: specialTokenTexts({
      bosToken: text(tokenizer.bosId),
      eosToken: text(tokenizer.eosId),
      padToken: text(id('tokenizer.ggml.padding_token_id')),
      unkToken: text(id('tokenizer.ggml.unknown_token_id')),
    }),
    template: ggufTemplates(file),
    templatePath: path,
    addsBosToChats: true,
    fim: findFimTokens(content => tokenizer.tokenId(content), file.metadata),
  }
}

/** `tokenizer.chat_template`, and named ones as `tokenizer.chat_template.NAME`. */
function ggufTemplates(file: GgufFile): ChatTemplateSource | undefined {
  const key = 'tokenizer.chat_template'
  const templates = new Map<string, string>()
  for (const [name, value] of file.metadata) {
    if (typeof value !== 'string') continue
    if (name === key) templates.set('default', value)
    else if (name.startsWith(`${key}.`)) templates.set(name.slice(key.length + 1), value)
  }
  return oneOrMany(templates)
}

async function loadFolder(dir: string): Promise<LoadedText> {
  const path = join(dir, 'tokenizer.json')
  const [bytes, config, fileTemplates] = await Promise.all([
    readOptionalModelFile(path, maxTokenizerBytes),
    loadConfig(dir),
    loadTemplateFiles(dir),
  ])
  if (bytes === undefined) throw new FileFormatError(path, 'there is no such file')
  const tokenizer = tokenizerFromJson(path, bytes, config)
  return {
    tokenizer,
    specialTokens: specialTokenTexts(config),
    template: fileTemplates?.source ?? config.chatTemplate,
    templatePath: fileTemplates?.path ?? join(dir, 'tokenizer_config.json'),
    addsBosToChats: false,
    fim: findFimTokens(content => tokenizer.tokenId(content)),
  }
}

/** tokenizer_config.json, completed by the older special_tokens_map.json. */
async function loadConfig(dir: string): Promise<TokenizerConfig> {
  const [config, map] = await Promise.all(
    ['tokenizer_config.json', 'special_tokens_map.json'].map(async name => {
      const path = join(dir, name)
      const text = await readOptional(path)
      return text === undefined ? emptyTokenizerConfig : parseTokenizerConfig(path, text)
    }),
  )
  const first = config ?? emptyTokenizerConfig
  const second = map ?? emptyTokenizerConfig
  return {
    bosToken: first.bosToken ?? second.bosToken,
    eosToken: first.eosToken ?? second.eosToken,
    padToken: first.padToken ?? second.padToken,
    unkToken: first.unkToken ?? second.unkToken,
    chatTemplate: first.chatTemplate,
  }
}

interface TemplateFiles {
  source: ChatTemplateSource
  path: string
}

/** chat_template.jinja (with additional_chat_templates/NAME.jinja), else the older chat_template.json. */
async function loadTemplateFiles(dir: string): Promise<TemplateFiles | undefined> {
  const path = join(dir, 'chat_template.jinja')
  const main = await readOptional(path)
  if (main !== undefined) {
    const templates = new Map([['default', main]])
    const folder = join(dir, 'additional_chat_templates')
    for (const name of await readdir(folder).catch(() => [])) {
      const text = name.endsWith('.jinja') ? await readOptional(join(folder, name)) : undefined
      if (text !== undefined) templates.set(basename(name, '.jinja'), text)
    }
    const source = oneOrMany(templates)
    return source === undefined ? undefined : { source, path }
  }
  const jsonPath = join(dir, 'chat_template.json')
  const json = await readOptional(jsonPath)
  return json === undefined
    ? undefined
    : { source: readTemplateJson(jsonPath, json), path: jsonPath }
}

function readTemplateJson(path: string, text: string): string {
  const reader = new JsonReader(path)
  return reader.string(reader.record(reader.parse(text), 'the file').chat_template, 'chat_template')
}

function oneOrMany(templates: Map<string, string>): ChatTemplateSource | undefined {
  if (templates.size === 0) return undefined
  const single = templates.get('default')
  return templates.size === 1 && single !== undefined ? single : templates
}

function specialTokenTexts(config: Omit<TokenizerConfig, 'chatTemplate'>): SpecialTokenTexts {
  return {
    ...(config.bosToken !== undefined && { bos_token: config.bosToken }),
    ...(config.eosToken !== undefined && { eos_token: config.eosToken }),
    ...(config.padToken !== undefined && { pad_token: config.padToken }),
    ...(config.unkToken !== undefined && { unk_token: config.unkToken }),
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  const bytes = await readOptionalModelFile(path, maxConfigBytes)
  return bytes?.toString('utf8')
}
