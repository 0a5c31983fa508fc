import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../engine.ts'
import { createMemoryResponseStore } from '../responseStore/memoryResponseStore.ts'
import { scriptedModel } from '../scripted/scriptedEngine.ts'
import { conversation } from './conversation.ts'
import { toInputItems } from './inputItems.ts'
import { responseRequest } from './responseRequest.ts'
import type { ResponseStore } from './responseStore.ts'

const said = (content: string): JsonObject => ({ role: 'user', content })
const reference = (id: string): JsonObject => ({ type: 'item_reference', id })

/** A store in which each response continues the one before, and how often it was read. */
async function setUp(...inputs: JsonObject[][]) {
  const store = createMemoryResponseStore(Date.now)
  let previous: string | undefined
  for (const [i, input] of inputs.entries()) {
    const identity = { id: `resp_r${i}`, created: 1, canStore: true }
    const body = { input, ...(previous !== undefined && { previous_response_id: previous }) }
    const { head, include, input: items } = responseRequest(body, [scriptedModel], identity)
    await store.put({
      response: { ...head, status: 'completed' },
      input: items,
      include,
      detached: false,
    })
    previous = head.id
  }
  let numReads = 0
  const counting: ResponseStore = {
    ...store,
    get: (id, owner) => {
      numReads++
      return store.get(id, owner)
    },
  }
  return {
    numReads: () => numReads,
    turns: (input: JsonObject[], { previousId = null as string | null, maxBytes = 1e7 } = {}) =>
      conversation(
        { input: toInputItems(input, 'resp_now'), previousId, instructions: null },
        { store: counting, owner: undefined, maxBytes },
      ),
  }
}

const tooMuch = { data: { status: 413, code: 'request_too_large' } }

test('history comes first, and references mean items of it, of the input and of other responses', async () => {
  const { turns } = await setUp([said('a')], [said('b')])
  const input = [said('c'), reference('msg_r0_i0'), reference('msg_now_i0')]
  const contents = async (previousId: string | null) =>
    (await turns(input, { previousId })).map(({ content }) => content).join('')
  expect(await contents('resp_r1')).toBe('abcac')
  expect(await contents(null)).toBe('cac')
  await expect(turns([reference('msg_now_i7')])).rejects.toMatchObject({
    data: { status: 400, param: 'input[0].id' },
  })
})

describe('few bytes name much', () => {
  const large = said('x'.repeat(10_000))

  test('a history that is too large', async () => {
    const { turns } = await setUp([large], [large], [large])
    const previousId = 'resp_r2'
    expect(await turns([said('a')], { previousId, maxBytes: 40_000 })).toHaveLength(4)
    await expect(turns([said('a')], { previousId, maxBytes: 25_000 })).rejects.toMatchObject({
      data: { ...tooMuch.data, param: 'previous_response_id' },
    })
  })

  test.each(['msg_r0_i0', 'msg_now_i0'])('%s, named often', async id => {
    const { turns } = await setUp([large])
    const input = [large, ...Array.from({ length: 3 }, () => reference(id))]
    expect(await turns(input, { maxBytes: 40_000 })).toHaveLength(4)
    await expect(turns(input, { maxBytes: 25_000 })).rejects.toMatchObject({
      data: { ...tooMuch.data, param: 'input[3].id' },
    })
  })

  test('a response is read once', async () => {
    const many = Array.from({ length: 100 }, () => said(''))
    const { turns, numReads } = await setUp(many)
    await turns(many.map((_, i) => reference(`msg_r0_i${i}`)))
    expect(numReads()).toBe(1)
  })
})
