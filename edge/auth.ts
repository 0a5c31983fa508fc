import type { Client } from './client.ts'
import { ApiError } from './errors.ts'

interface Known {
  /** SHA-256 of the key, 64 hex digits. */
  digest: string
  client: Client
}

/**
 * Returns a function that finds the client of a request by its key, a bearer token or `x-api-key`; undefined where no keys
 * are configured. It throws 401 for any other key, and for none. Digests are compared, all of them and in full, so that
 * the time taken says nothing about a key.
 */
export function createAuth(apiKeys: string[]): (request: Request) => Promise<Client | undefined> {
  if (apiKeys.length === 0) return async () => undefined
  let known: Known[] | undefined
  return async ({ headers }) => {
    known ??= await Promise.all(apiKeys.map(plainKey))
    const key = presentedKey(headers)
    const client = key === undefined ? undefined : match(await digest(key), known)
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
  const sha256 = await digest(key)
  return { digest: sha256, client: { name: `key-${sha256.slice(0, 8)}`, admin: true } }
}

function presentedKey(headers: Headers): string | undefined {
  const [, bearer] = /^Bearer +(.+)$/i.exec(headers.get('authorization') ?? '') ?? []
  return bearer?.trim() ?? headers.get('x-api-key') ?? undefined
}

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return Array.from(new Uint8Array(bytes), byte => byte.toString(16).padStart(2, '0')).join('')
}

function match(candidate: string, known: Known[]): Client | undefined {
  let found: Client | undefined
  for (const { digest, client } of known) {
    let difference = 0
    for (let i = 0; i < digest.length; i++) {
      difference |= digest.charCodeAt(i) ^ candidate.charCodeAt(i)
    }
    if (difference === 0) found = client
  }
  return found
}
