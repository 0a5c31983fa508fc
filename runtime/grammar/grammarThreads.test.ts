import { expect, test, vi } from 'vitest'
import { threads } from '../../test/support/scarceThreads.ts'
import { TokenPiecesBuilder } from '../text/tokenizer/tokenPieces.ts'
import { GrammarService } from './grammarService.ts'

vi.mock('node:worker_threads', async original =>
  (await import('../../test/support/scarceThreads.ts')).scarceThreads(original),
)

test('without a thread grammars are refused, and compiled when there is one again', async () => {
  const builder = new TokenPiecesBuilder(256)
  for (let byte = 0; byte < 256; byte++) builder.addByte(byte, 0)
  const service = new GrammarService(builder.build('keep'), 256)
  const compile = (pattern: string) =>
    service.compile({ grammar: { type: 'regex', pattern }, controlTokens: [] })
  threads.areLeft = false
  await expect(compile('a')).rejects.toThrow('EAGAIN')
  threads.areLeft = true
  await compile('a')
  await service.close()
})
