import { expect, test } from 'vitest'
import type { Engine } from '../../edge/engine.ts'
import { measure } from './bench.ts'

const options = { promptLen: [], depth: [4], concurrency: [1], genLen: 8, iterations: 1, warmup: 0 }
const none: Pick<Engine, 'submit'> = {
  submit: () => Promise.reject(new Error('something was measured')),
}

test.each([
  [{ promptLen: [8, 99_999_999] }, 'a run of 99999999 + 1 tokens'],
  [{ promptLen: [512] }, 'a run of 512 + 1 tokens'],
  [{ depth: [4, 505] }, 'a run of 505 + 8 tokens'],
])(
  '%j does not fit into a context of 512, which is said before anything is measured',
  async (change, message) => {
    const info = { vocabSize: 8, maxModelLen: 512 }
    const run = measure(none, info, { ...options, ...change }, { update: () => {} })
    await expect(run).rejects.toThrow(message)
    const fitting = { ...options, promptLen: [511], depth: [504] }
    const fits = measure(none, info, fitting, { update: () => {} })
    await expect(fits).rejects.toThrow('something was measured')
  },
)
