import { expect, test, vi } from 'vitest'
import { threads } from '../../test/support/scarceThreads.ts'
import { TokenPiecesBuilder } from '../text/tokenizer/tokenPieces.ts'
import { GrammarService } from './grammarService.ts'

vi.mock('node:worker_threads', async original =>
  (await import('../../test/support/scarceThreads.ts')).scarceThreads(original),
)

test('grammars are refused without a thread, compiled when there is one again, and not once it is closed', async () => {
  const builder = new TokenPiecesBuilder(256)
  for (let byte = 0; byte < 256; byte++) builder.addByte(byte, 0)
  const service = new GrammarService(builder.build('keep'), 256)
  const compile = (pattern: string) =>
    service.compile({ grammar: { type: 'regex', pattern }, controlTokens: [] })
  threads.areLeft = false
  await expect(compile('a')).rejects.toThrow('EAGAIN')
  threads.areLeft = true
  await compile('a')
  const unloaded = expect(compile('b')).rejects.toMatchObject({ kind: 'unavailable' })
  await service.close()
  await unloaded
  await expect(compile('c')).rejects.toMatchObject({ kind: 'unavailable' })
})
