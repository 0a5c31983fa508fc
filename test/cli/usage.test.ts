import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { mistralrs, Running, root } from './command.ts'

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

describe.concurrent('help', () => {
  test.each([
    ['--help'],
    ['serve', '--help'],
    ['run', '--help'],
    ['bench', '--help'],
    ['plan', '--help'],
    ['container', '--help'],
    ['edge', '--help'],
    ['key', '--help'],
    ['help', 'serve'],
  ])('%s %s', async (...args) => {
    const { code, stdout, stderr } = await mistralrs(args)
    expect([code, stderr]).toEqual([0, ''])
    const command = args.find(arg => arg !== '--help' && arg !== 'help')
    expect(stdout).toContain(`Usage: mistralrs ${command ?? '[options] [command]'}`)
    expect(stdout).toContain('--seed')
    expect(stdout).not.toMatch(/default: \[/)
  })

  test('loads neither engine nor addon', async () => {
    const { code, stdout, stderr } = await mistralrs(['serve', '--help'], {
      env: { NODE_DEBUG: 'esm' },
    })
    expect([code, stdout]).toEqual([0, expect.stringContaining('Usage')])
    expect(stderr).not.toMatch(/runtime\/(engine|text|weights)\/|mistralrs\.node/)
  })

  test('without a command it is an error', async () => {
    const { code, stdout, stderr } = await mistralrs([])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('Usage: mistralrs [options] [command]')
  })

  test('version, also through the bin of the package', async () => {
    const direct = await mistralrs(['--version'])
    const bin = await new Running(process.execPath, [join(root, 'bin/mistralrs.mjs'), '-V'], {
      input: '',
    }).ended
    for (const { code, stdout } of [direct, bin])
      expect([code, stdout]).toEqual([0, `${version}\n`])
  })
})

describe.concurrent('wrong arguments are explained on stderr with exit code 2', () => {
  test.each([
    ['an unknown command', ['nonsense'], "unknown command 'nonsense'"],
    ['an unknown option', ['serve', '--nonsense'], "unknown option '--nonsense'"],
    ['a mistyped option', ['serve', '--prot', '1'], 'Did you mean --port?'],
    ['a missing value', ['serve', '--port'], 'argument missing'],
    ['a port that is none', ['serve', '--port', '65536'], '0 to 65535'],
    ['a port that is no number', ['serve', '-p', '12x'], '0 to 65535'],
    ['an empty key', ['serve', '--api-key', ''], 'must not be empty'],
    ['a parser that is none', ['serve', '--tool-call-parser', 'x'], 'hermes, llama3, none'],
    ['an unknown kind of model', ['serve', 'diffusion'], 'Allowed choices are auto, text'],
    ['no threads', ['run', '--threads', '0'], '1 to 1024'],
    ['an unknown quantization', ['serve', '--isq', 'q9'], 'q4k, q6k, q8_0'],
    ['unknown kernels', ['serve', '--isa', 'sse'], 'Allowed choices'],
    ['a seed beyond u64', ['run', '--seed', '18446744073709551616'], '2^64 - 1'],
    ['a negative seed', ['run', '--seed=-1'], '2^64 - 1'],
    [
      'two sizes of the cache',
      ['serve', '--pa-context-len', '9', '--pa-memory-mb', '9'],
      'cannot be used with',
    ],
    ['a revision of nothing', ['serve', '--revision', 'main'], "needs '-m"],
    ['a wrong list', ['bench', '--depth', '4,0'], 'at least 1'],
    ['thinking halfway', ['run', '--thinking=maybe'], 'true or false'],
    ['too many arguments', ['plan', 'text', 'more'], 'too many arguments'],
  ])('%s', async (_name, args, message) => {
    const { code, stdout, stderr } = await mistralrs(args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
    expect(stderr).toMatch(/Usage: mistralrs /)
    expect(stderr.split('\n').length).toBeLessThan(8)
  })
})
