import { describe, expect, test } from 'vitest'
import type { EngineErrorKind } from './engine.ts'
import { type ApiErrorData, errorHeaders, fromEngineError, internalError } from './errors.ts'

const told = (kind: string, retryAfterMs?: number): ApiErrorData =>
  fromEngineError(
    {
      kind: kind as EngineErrorKind,
      message: 'm',
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
    path => path,
  ).data

describe('engine errors', () => {
  test.each([
    ['invalid', 400, 'invalid_request_error', 'invalid_value'],
    ['model_not_found', 404, 'invalid_request_error', 'model_not_found'],
    ['context_length', 400, 'invalid_request_error', 'context_length_exceeded'],
    ['unsupported_media', 400, 'invalid_request_error', 'unsupported_media'],
    ['invalid_grammar', 400, 'invalid_request_error', 'invalid_grammar'],
    ['busy', 429, 'rate_limit_error', 'queue_full'],
    ['loading', 503, 'server_error', 'model_loading'],
    ['draining', 503, 'server_error', 'server_shutting_down'],
    ['unavailable', 502, 'server_error', 'upstream_error'],
    ['timeout', 504, 'server_error', 'timeout'],
    ['internal', 500, 'server_error', 'internal_error'],
    ['a kind of a newer engine', 500, 'server_error', 'internal_error'],
  ])('%s is %i', (kind, status, type, code) => {
    expect(told(kind)).toMatchObject({ status, type, code, message: 'm' })
  })

  test.each([
    ['busy', undefined, '1', '1000'],
    ['busy', 20, '1', '20'],
    ['busy', 1001, '2', '1001'],
    ['loading', 60_000, '5', '5000'],
    ['draining', 2500.2, '3', '2501'],
    ['unavailable', 4000, '4', '4000'],
  ])('%s with %s ms: retry after %s s', (kind, ms, seconds, milliseconds) => {
    expect(errorHeaders(told(kind, ms))).toEqual({
      'retry-after': seconds,
      'retry-after-ms': milliseconds,
    })
  })

  test('an engine that is left alone for a while is 503, not 502', () => {
    expect(told('unavailable', 4000)).toMatchObject({ status: 503, code: 'upstream_error' })
  })

  test('only failures that pass say when', () => {
    for (const kind of ['invalid', 'internal', 'unavailable']) {
      expect(errorHeaders(told(kind))).toEqual({})
    }
  })
})

test('a bug is told without its text, and not to be retried', () => {
  const { data, cause } = internalError(new Error('secret path'))
  expect(data.message).not.toContain('secret')
  expect(errorHeaders(data)).toEqual({ 'x-should-retry': 'false' })
  expect(cause).toBeInstanceOf(Error)
})

test('a message names the field as the client does', () => {
  const told = (message: string) =>
    fromEngineError({ kind: 'invalid', message, param: 'sampling.topP' }, () => 'top_p').data
      .message
  expect(told('sampling.topP is 7, must be at most 1')).toBe('top_p is 7, must be at most 1')
  expect(told('no such sampling.topP')).toBe('no such sampling.topP')
})
