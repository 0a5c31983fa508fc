import { ApiError } from './errors.ts'

/**
 * Returns a check that throws 401 unless the request carries one of the keys, as a bearer token or in `x-api-key`.
 * Digests are compared, all of them and in full, so that the time taken says nothing about a key.
 */
export function createAuth(apiKeys: string[]): (request: Request) => Promise<void> {
  if (apiKeys.length === 0) return async () => {}
  let known: Promise<Uint8Array[]> | undefined
  return async request => {
    known ??= Promise.all(apiKeys.map(digest))
    const key = presentedKey(request)
    if (key !== undefined && matchesAny(await digest(key), await known)) return
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

function presentedKey({ headers }: Request): string | undefined {
  const [, bearer] = /^Bearer +(.+)$/i.exec(headers.get('authorization') ?? '') ?? []
  return bearer?.trim() ?? headers.get('x-api-key') ?? undefined
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
}

function matchesAny(candidate: Uint8Array, known: Uint8Array[]): boolean {
  let found = 0
  for (const key of known) {
    let difference = 0
    for (let i = 0; i < key.length; i++) difference |= (key[i] ?? 0) ^ (candidate[i] ?? 0)
    found |= Number(difference === 0)
  }
  return found === 1
}
