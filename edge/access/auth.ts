import { ApiError } from '../errors.ts'
import type { Client } from './client.ts'
import { type KeyEntry, keyDigest } from './keyEntries.ts'
import { KeyLimits } from './keyLimits.ts'

export interface KnownKeys {
  /** Keys as they are, which may do everything. */
  apiKeys: string[]
  entries: KeyEntry[]
}

interface Known {
  /** SHA-256 of the key. */
  digest: Int32Array
  client: Client
}

const DIGEST_WORDS = 8

/** Finds the client of a request. @throws ApiError 401 for a key that is not known, and for none */
export type Authenticate = (request: Request) => Promise<Client>

/**
 * Knows clients by their key, a bearer token or `x-api-key`. Digests are compared, all of them and in full, so that the time
 * taken says nothing about a key.
 * @returns undefined where no keys are configured: then nobody needs one
 */
export function createAuth(
  { apiKeys = [], entries = [] }: Partial<KnownKeys> = {},
  clock: () => number,
): Authenticate | undefined {
  if (apiKeys.length + entries.length === 0) return undefined
  const listed = entries.map(entry => listedKey(entry, clock))
  let known: Known[] | undefined
  return async ({ headers }) => {
    // Of a key that is in both lists the limits hold.
    known ??= [...(await Promise.all(apiKeys.map(plainKey))), ...listed]
    const key = presentedKey(headers)
    const client = key === undefined ? undefined : match(wordsOf(await keyDigest(key)), known)
    if (client !== undefined) return client
    throw new ApiError({
      status: 401,
      type: 'invalid_request_error',
      code: 'invalid_api_key',
      message:
        key === undefined
          ? 'No API key provided. Send it as `Authorization: Bearer <key>` or `x-api-key: <key>`.'
          : 'Incorrect API key provided.',
      headers: { 'www-authenticate': 'Bearer' },
    })
  }
}

/** A key without a name of its own gets one that every edge with the key gives it. */
async function plainKey(key: string): Promise<Known> {
  const digest = await keyDigest(key)
  return { digest: wordsOf(digest), client: { name: `key-${digest.slice(0, 8)}`, admin: true } }
}

function listedKey(entry: KeyEntry, clock: () => number): Known {
  const { name, sha256, models, admin = false } = entry
  const { requestsPerMinute, tokensPerMinute, maxConcurrent } = entry
  const isLimited = requestsPerMinute ?? tokensPerMinute ?? maxConcurrent
  return {
    digest: wordsOf(sha256),
    client: {
      name,
      admin,
      ...(models !== undefined && { models: new Set(models) }),
      ...(isLimited !== undefined && { limits: new KeyLimits(entry, clock) }),
    },
  }
}

function presentedKey(headers: Headers): string | undefined {
  const [, bearer] = /^Bearer +(.+)$/i.exec(headers.get('authorization') ?? '') ?? []
  // An empty one is none, whatever the list says.
  return bearer?.trim() || headers.get('x-api-key') || undefined
}

/** @param hex 64 digits */
function wordsOf(hex: string): Int32Array {
  return Int32Array.from({ length: DIGEST_WORDS }, (_, i) =>
    Number.parseInt(hex.slice(8 * i, 8 * i + 8), 16),
  )
}

function match(candidate: Int32Array, known: Known[]): Client | undefined {
  let found: Client | undefined
  for (const { digest, client } of known) {
    let difference = 0
    for (let i = 0; i < DIGEST_WORDS; i++) difference |= (digest[i] ?? 0) ^ (candidate[i] ?? 0)
    if (difference === 0) found = client
  }
  return found
}
