import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { TextService } from '../../runtime/text/textService.ts'

test('a 100 KB prompt does not hold up the event loop', async () => {
  const dir = join(import.meta.dirname, '../goldens/llama')
  const service = await TextService.load({ source: { kind: 'folder', dir } })
  try {
    const line = 'The quick brown fox, 12345 naïve cafés; def f(x): return x ** 2 — 日本語\n'
    const text = line.repeat(Math.ceil(100_000 / line.length))
    await service.encode('warm up', { addSpecialTokens: true })
    const longestDelayMs = async () => {
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      const ids = await service.encode(text, { addSpecialTokens: false })
      await service.encode('x'.repeat(100_000), { addSpecialTokens: false })
      delay.disable()
      expect(ids.length).toBeGreaterThan(10_000)
      return delay.max / 1e6
    }
    // Other processes share the machine and delay this one too: the best of a few runs counts.
    let best = Number.POSITIVE_INFINITY
    for (let i = 0; i < 5 && best >= 20; i++) best = Math.min(best, await longestDelayMs())
    expect(best).toBeLessThan(20)
  } finally {
    await service.close()
  }
})
