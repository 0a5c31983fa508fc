import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { goldens, mistralrs, tinyModel } from './command.ts'

let folder = ''
const at = (name: string) => join(folder, name)

/** A copy of the tiny model with one file changed. */
function broken(name: string, file: string, content: string | Buffer): void {
  cpSync(tinyModel, at(name), { recursive: true })
  writeFileSync(join(at(name), file), content)
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mistralrs-errors-'))
  mkdirSync(at('empty'))
  writeFileSync(at('notes.txt'), 'hello')
  writeFileSync(at('text.gguf'), 'hello')
  const gguf = readFileSync(join(goldens, 'gguf-q4_k_s/model.gguf'))
  writeFileSync(at('cut.gguf'), gguf.subarray(0, gguf.length / 2))
  const weights = readFileSync(join(tinyModel, 'model.safetensors'))
  broken('cut', 'model.safetensors', weights.subarray(0, weights.length / 2))
  broken('nan', 'model.safetensors', Buffer.from(weights).fill(0xff, weights.length - 4096))
  broken('config', 'config.json', '{')
  broken('unknown', 'config.json', '{"model_type":"mamba9"}')
  broken('tokenizer', 'tokenizer.json', '{}')
  writeFileSync(at('wrong.jinja'), '{% if %}')
  writeFileSync(at('wrong.json'), '{}')
})

afterAll(() => rmSync(folder, { recursive: true }))

describe.concurrent('what cannot work ends with one clear message and exit code 1', () => {
  test.each([
    ['no such path', ['-m', 'nothing'], 'nothing: no such file or folder'],
    ['an empty folder', ['-m', 'empty'], /empty: .*neither config.json nor a .gguf/],
    ['another file', ['-m', 'notes.txt'], /notes.txt: neither a folder nor a .gguf/],
    ['a text for GGUF', ['-m', 'text.gguf'], /text.gguf: .*truncated or corrupt/],
    ['half a GGUF', ['-m', 'cut.gguf'], /cut.gguf: .*beyond the end of the file/],
    ['half the weights', ['-m', 'cut'], /model.safetensors: /],
    ['weights that are not numbers', ['-m', 'nan'], /NaN|not finite/],
    ['a broken config', ['-m', 'config'], /config.json: not JSON/],
    ['an unknown architecture', ['-m', 'unknown'], 'mamba9'],
    ['a broken tokenizer', ['-m', 'tokenizer'], /tokenizer.json: /],
    ['-f that is not there', ['-f', 'no.gguf'], 'no.gguf: no such file'],
    ['-f with a file', ['-m', 'cut.gguf', '-f', 'x'], 'leave out -f'],
    ['a revision of a folder', ['-m', 'empty', '--revision', 'x'], 'models of the hub'],
    ['an id offline', ['-m', 'org/none'], /org\/none at revision main is not in the cache/],
    ['no such template', ['-m', tinyModel, '-c', 'no.jinja'], /no.jinja cannot be read/],
    [
      'a broken template',
      ['-m', tinyModel, '-c', 'wrong.jinja'],
      /--chat-template: .*Expected an expression/,
    ],
    ['a template file without', ['-m', tinyModel, '-c', 'wrong.json'], /wrong.json has no string/],
    ['a cache too small', ['-m', tinyModel, '--pa-context-len', '8'], 'KV cache for 256 tokens'],
  ])('%s', async (_name, args, message) => {
    const paths = args.map(arg =>
      /^(-|org|x$|8$)/.test(arg) || arg.startsWith('/') ? arg : at(arg),
    )
    const env = { HF_HUB_OFFLINE: '1', HF_HOME: folder }
    for (const command of [
      ['run', '-i', 'hi'],
      ['serve', '--port', '0'],
    ]) {
      const { code, stdout, stderr } = await mistralrs([...command, ...paths], { env })
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^Error: /)])
      expect(stderr).toMatch(message)
      expect(stderr).not.toMatch(/\n {4}at /)
      expect(stdout).not.toContain('listening')
    }
  })
})

test('a port in use', async () => {
  const other = createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  const args = ['serve', '-m', tinyModel, '--host', '127.0.0.1', '--port', String(port)]
  const { code, stderr } = await mistralrs(args)
  expect(code).toBe(1)
  expect(stderr).toBe(
    `Error: 127.0.0.1:${port} is already in use; choose another port with --port\n  caused by: listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`,
  )
  other.close()
})

test('an address that is none', async () => {
  const { code, stderr } = await mistralrs(['serve', '-m', tinyModel, '--host', 'no.invalid'])
  expect([code, stderr]).toEqual([1, expect.stringContaining('cannot listen on no.invalid:1234')])
})
