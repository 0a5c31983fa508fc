import { CHAT, hello } from './chatShapes.ts'
import { type Check, must } from './check.ts'
import { NotHere } from './outcome.ts'

const ORIGIN = 'https://app.example'
/** What the OpenAI and Anthropic clients add in a browser. */
const sdkHeaders = [
  'authorization',
  'content-type',
  'x-stainless-lang',
  'x-stainless-package-version',
  'x-stainless-os',
  'x-stainless-arch',
  'x-stainless-runtime',
  'x-stainless-runtime-version',
  'x-stainless-retry-count',
  'x-stainless-timeout',
  'anthropic-version',
  'anthropic-dangerous-direct-browser-access',
  'x-api-key',
]

function list(header: string | null): string[] {
  return (header ?? '').toLowerCase().split(/\s*,\s*/)
}

export const headerChecks: Check[] = [
  {
    name: 'every answer has an x-request-id, that of the request if it has one',
    section: '4',
    async run(api) {
      const answer = await api.post(CHAT, hello)
      must(answer.headers.get('x-request-id'), 'an answer has none')
      const refused = await api.post(CHAT, { messages: 5 }, { 'x-request-id': 'mine-1' })
      const id = refused.headers.get('x-request-id')
      must(id === 'mine-1', `x-request-id mine-1 came back as ${id}`)
    },
  },
  {
    name: 'a preflight allows what the official clients send',
    section: '4',
    async run(api) {
      const { status, headers } = await api.as(undefined).send('OPTIONS', CHAT, {
        headers: {
          origin: ORIGIN,
          'access-control-request-method': 'POST',
          'access-control-request-headers': sdkHeaders.join(','),
        },
      })
      const origin = headers.get('access-control-allow-origin')
      if (origin === null) throw new NotHere(`no CORS (OPTIONS answered ${status})`)
      must(status === 204 || status === 200, `OPTIONS answered ${status}`)
      must(origin === '*' || origin === ORIGIN, `the allowed origin is ${origin}`)
      const allowed = list(headers.get('access-control-allow-headers'))
      // A star does not cover authorization. Source: Fetch standard, "CORS-preflight fetch".
      const isAllowed = (name: string) =>
        allowed.includes(name) || (allowed.includes('*') && name !== 'authorization')
      const missing = sdkHeaders.filter(name => !isAllowed(name))
      must(missing.length === 0, `not allowed: ${missing.join(', ')}`)
    },
  },
  {
    name: 'pages can read answers and failures, and the id of both',
    section: '4',
    async run(api) {
      for (const body of [hello, { messages: 5 }]) {
        const { headers } = await api.post(CHAT, body, { origin: ORIGIN })
        const origin = headers.get('access-control-allow-origin')
        if (origin === null && body === hello) throw new NotHere('no CORS')
        must(origin !== null, 'a failure has no access-control-allow-origin')
        const exposed = list(headers.get('access-control-expose-headers'))
        must(exposed.includes('x-request-id') || exposed.includes('*'), 'x-request-id is hidden')
      }
    },
  },
  {
    name: 'a wrong key is 401, in either header',
    section: '2',
    async run(api) {
      if (!api.hasKey) throw new NotHere('no --api-key')
      const { status } = await api.as('not-a-key-of-anybody').post(CHAT, hello)
      if (status === 200) throw new NotHere('any key is accepted')
      must(status === 401, `authorization: answered ${status}`)
      const header = { 'x-api-key': 'not-a-key-of-anybody' }
      const other = await api.as(undefined).post(CHAT, hello, header)
      must(other.status === 401, `x-api-key: answered ${other.status}`)
    },
  },
]
