import { describe, expect, test } from 'vitest'
import { ApiError } from '../errors.ts'
import { isOpenToPages, OriginGuard } from './originGuard.ts'

const HOME = 'http://localhost:1234'

interface Case {
  origins?: string[]
  hosts?: string[]
  base?: string
  method?: string
  open?: boolean
  headers?: Record<string, string>
}

function check({
  origins = ['*'],
  hosts = [],
  base = HOME,
  method = 'POST',
  open = false,
  headers = {},
}: Case): string | undefined {
  try {
    const request = new Request(`${base}/v1/x`, { method, headers })
    new OriginGuard({ origins, hosts }).check(request, open)
    return undefined
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    expect(error.data).toMatchObject({ status: 403, type: 'permission_error' })
    return error.message
  }
}

const evil = { origin: 'https://evil.example' }
const named = ['https://app.example']

describe('passes', () => {
  test.each<[string, Case]>([
    ['curl and SDKs, which have no origin', {}],
    ['a page of this server', { headers: { origin: HOME } }],
    [
      'a page of this server, in the words of the browser',
      { headers: { 'sec-fetch-site': 'same-origin' } },
    ],
    [
      'a page of this server behind a proxy that speaks TLS',
      { headers: { origin: 'https://localhost:1234', 'sec-fetch-site': 'same-origin' } },
    ],
    ['an address typed by the user', { method: 'GET', headers: { 'sec-fetch-site': 'none' } }],
    [
      'a link from anywhere',
      { method: 'GET', headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' } },
    ],
    ['an origin that was named', { origins: named, headers: { origin: 'https://app.example' } }],
    [
      'an origin that was named, from another site',
      {
        origins: ['*', ...named],
        headers: { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' },
      },
    ],
    ['what is open, for any page', { open: true, headers: evil }],
    ['what is open, under any name', { open: true, base: 'http://evil.example' }],
    [
      'what is open, without an origin, where origins were named',
      { open: true, origins: named, base: 'http://box.lan' },
    ],
    ['an address', { base: 'http://192.168.1.7:1234' }],
    ['an IPv6 address', { base: 'http://[fd00::1]:1234' }],
    ['a name under localhost', { base: 'http://chat.localhost' }],
    ['a name that was allowed, in any case', { base: 'http://box.lan', hosts: ['Box.lan'] }],
    ['any name, where all were allowed', { base: 'http://box.lan', hosts: ['*'] }],
  ])('%s', (_, request) => {
    expect(check(request)).toBeUndefined()
  })
})

describe('is refused', () => {
  test.each<[string, Case, RegExp]>([
    ['a foreign page', { headers: evil }, /--cors-origin https:\/\/evil\.example/],
    ['a page without an origin of its own', { headers: { origin: 'null' } }, /page of null/],
    ['a page of another port', { headers: { origin: 'http://localhost:3000' } }, /localhost:3000/],
    ['a page of another scheme', { headers: { origin: 'https://localhost:1234' } }, /https/],
    [
      'a foreign request without an origin',
      { headers: { 'sec-fetch-site': 'cross-site' } },
      /another site/,
    ],
    [
      'a request of another port of this machine',
      { headers: { 'sec-fetch-site': 'same-site' } },
      /another site/,
    ],
    [
      'a form that was sent from elsewhere',
      { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' } },
      /another site/,
    ],
    [
      'a page that was rebound to this machine',
      { base: 'http://evil.example:1234', headers: { origin: 'http://evil.example:1234' } },
      /--allowed-host evil\.example/,
    ],
    ['a rebound page that only reads', { base: 'http://evil.example', method: 'GET' }, /evil/],
    ['a name that only begins like an address', { base: 'http://127.0.0.1.evil.example' }, /evil/],
    ['a name that only ends like localhost', { base: 'http://evillocalhost' }, /evil/],
    [
      'a page that was not named, also from what is open',
      { origins: named, open: true, headers: evil },
      /evil/,
    ],
    [
      'an origin that begins like one that was named',
      { origins: named, headers: { origin: 'https://app.example.evil' } },
      /evil/,
    ],
  ])('%s', (_, request, message) => {
    expect(check(request)).toMatch(message)
  })
})

test.each([
  ['POST', '/chat/completions', true],
  ['GET', '/models/a/b', true],
  ['DELETE', '/models/a', false],
  ['POST', '/models/unload', false],
  ['POST', '/files', false],
  ['GET', '/files/x/content', false],
  ['POST', '/requests/x/cancel', false],
  ['POST', '/agent/approvals/x', false],
])('%s %s is open to all pages: %s', (method, path, open) => {
  expect(isOpenToPages(method, path)).toBe(open)
})
