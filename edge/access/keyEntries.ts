import { z } from 'zod'

const positive = z.int().positive().optional()

const entry = z.strictObject({
  /** Unique: the `owner` of the client's jobs. */
  name: z.string().regex(/^[\w.@:-]{1,64}$/, '1 to 64 letters, digits or . _ - : @'),
  /** Of the key, in hex; the key itself is nowhere stored. */
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, '64 hex digits')
    .toLowerCase(),
  /** Ids of the models it may use; absent: all. */
  models: z.array(z.string().min(1)).min(1).optional(),
  requestsPerMinute: positive,
  /** Of prompts and answers together. */
  tokensPerMinute: positive,
  /** Requests that run at once. */
  maxConcurrent: positive,
  /** May load and unload models. */
  admin: z.boolean().optional(),
})

/** What is known of one client's key. */
export type KeyEntry = z.infer<typeof entry>

/**
 * Reads the JSON list of keys, at least one: a list that was left empty must not let everybody in. A field that is misspelt would be a limit that does not hold, so unknown ones are refused.
 * @throws Error naming the entry and the field, or the name or key that is there twice
 */
export function parseKeyEntries(text: string): KeyEntry[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new Error('the list of keys is not JSON', { cause })
  }
  const { data, error } = z.array(entry).min(1).safeParse(json)
  if (error !== undefined) {
    const { path = [], message = '' } = error.issues[0] ?? {}
    const [index, ...field] = path
    const where =
      index === undefined
        ? 'the list of keys'
        : `key ${String(index)} ${field.map(String).join('.')}`
    throw new Error(`${where.trim()}: ${message}`)
  }
  for (const field of ['name', 'sha256'] as const) {
    const taken = new Set<string>()
    for (const { [field]: value } of data) {
      if (taken.has(value)) throw new Error(`two keys have the ${field} ${value}`)
      taken.add(value)
    }
  }
  return data
}

/** SHA-256 of a key in hex, as entries have it. */
export async function keyDigest(key: string): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key))
  return Array.from(new Uint8Array(bytes), byte => byte.toString(16).padStart(2, '0')).join('')
}
