import { JsonReader } from './jsonReader.ts'

/** What tokenizer_config.json adds to a tokenizer; what goes around a text does not come from it: docs/decisions/add-bos-token.md. */
export interface TokenizerConfig {
  bosToken: string | undefined
  eosToken: string | undefined
  padToken: string | undefined
  unkToken: string | undefined
  /** One template, or several by name. */
  chatTemplate: string | Map<string, string> | undefined
}

export const emptyTokenizerConfig: TokenizerConfig = {
  bosToken: undefined,
  eosToken: undefined,
  padToken: undefined,
  unkToken: undefined,
  chatTemplate: undefined,
}

/**
 * Reads the text of a tokenizer_config.json; tokens are strings or `{ content }`.
 * @throws FileFormatError
 */
export function parseTokenizerConfig(path: string, text: string): TokenizerConfig {
  const reader = new JsonReader(path)
  const config = reader.record(reader.parse(text), 'the file')
  const token = (name: string): string | undefined => {
    const entry = config[name]
    if (entry === undefined || entry === null) return undefined
    if (typeof entry === 'string') return entry
    return reader.string(reader.record(entry, name).content, `${name}.content`)
  }
  return {
    bosToken: token('bos_token'),
    eosToken: token('eos_token'),
    padToken: token('pad_token'),
    unkToken: token('unk_token'),
    chatTemplate: readTemplates(reader, config.chat_template),
  }
}

function readTemplates(
  reader: JsonReader,
  value: unknown,
): string | Map<string, string> | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  const templates = new Map<string, string>()
  if (Array.isArray(value)) {
    for (const entry of value) {
      const named = reader.record(entry, 'chat_template[]')
      templates.set(
        reader.string(named.name, 'chat_template[].name'),
        reader.string(named.template, 'chat_template[].template'),
      )
    }
  } else {
    for (const [name, template] of Object.entries(reader.record(value, 'chat_template'))) {
      templates.set(name, reader.string(template, `chat_template.${name}`))
    }
  }
  return templates
}
