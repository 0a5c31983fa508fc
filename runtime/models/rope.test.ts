import { describe, expect, it } from 'vitest'
import { RawConfig } from '../config/rawConfig.ts'
import { UnsupportedModelError } from '../config/unsupportedModelError.ts'
import { FileFormatError } from '../weights/fileFormatError.ts'
import { ropeConfig, ropeTable } from './rope.ts'

const raw = (fields: Record<string, unknown>) => new RawConfig('config.json', 'test', fields)
const defaults = { theta: 10000 }
const close = (a: ArrayLike<number>, b: readonly number[]) =>
  Array.from(a).forEach((value, i) => {
    expect(value / (b[i] ?? Number.NaN)).toBeCloseTo(1, 6)
  })

describe('ropeConfig', () => {
  it.each<[string, Record<string, unknown>, object]>([
    ['nothing', {}, { theta: 10000, rope_type: 'default' }],
    ['rope_theta', { rope_theta: 5e5 }, { theta: 5e5, rope_type: 'default' }],
    [
      'rope_theta with the older name of the type',
      { rope_theta: 5e5, rope_scaling: { type: 'linear', factor: 2 } },
      { theta: 5e5, rope_type: 'linear', factor: 2 },
    ],
    [
      'rope_parameters',
      { rope_parameters: { rope_theta: 1e6, rope_type: 'default' } },
      { theta: 1e6, rope_type: 'default' },
    ],
    [
      'rope_parameters by layer type',
      { rope_parameters: { full_attention: { rope_theta: 3e6, rope_type: 'linear', factor: 8 } } },
      { theta: 3e6, rope_type: 'linear', factor: 8 },
    ],
    ['null scaling', { rope_scaling: null }, { theta: 10000, rope_type: 'default' }],
  ])('reads %s', (_, fields, expected) => {
    expect(ropeConfig(raw(fields), defaults)).toMatchObject(expected)
  })

  it('names a scaling it does not know', () => {
    const config = raw({ rope_scaling: { rope_type: 'longrope' } })
    expect(() => ropeConfig(config, defaults)).toThrow(UnsupportedModelError)
    expect(() => ropeConfig(config, defaults)).toThrow(/"longrope"/)
  })

  it.each<[Record<string, unknown>, RegExp]>([
    [{ rope_theta: -1 }, /"rope_theta" is -1, must be a number greater than 0/],
    [{ rope_scaling: { rope_type: 'linear' } }, /"rope_scaling.factor" is missing/],
    [{ rope_scaling: { rope_type: 'linear', factor: 0 } }, /"rope_scaling.factor" is 0/],
  ])('rejects %j', (fields, message) => {
    expect(() => ropeConfig(raw(fields), defaults)).toThrow(FileFormatError)
    expect(() => ropeConfig(raw(fields), defaults)).toThrow(message)
  })
})

// Expected values: transformers `ROPE_INIT_FUNCTIONS` on the same parameters.
describe('ropeTable', () => {
  it('computes default frequencies', () => {
    const { invFreq, factor } = ropeTable({ theta: 10000, rope_type: 'default' }, 8, 2048)
    close(invFreq, [1, 0.1, 0.01, 0.001])
    expect(factor).toBe(1)
  })

  it('divides all by a linear factor', () => {
    close(
      ropeTable({ theta: 10000, rope_type: 'linear', factor: 8 }, 4, 2048).invFreq,
      [0.125, 0.00125],
    )
  })

  it('stretches long waves only (llama3)', () => {
    const { invFreq } = ropeTable(
      {
        theta: 500000,
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 64,
      },
      16,
      2048,
    )
    const base = (i: number) => 500000 ** ((-2 * i) / 16)
    const blend = (64 / ((2 * Math.PI) / base(1)) - 1) / 3
    close(invFreq, [
      base(0),
      ((1 - blend) * base(1)) / 8 + blend * base(1),
      ...[2, 3, 4, 5, 6, 7].map(i => base(i) / 8),
    ])
  })

  it('rotates a part of the pairs at the frequencies of the whole head (proportional)', () => {
    const config = { theta: 1e6, rope_type: 'proportional', partial_rotary_factor: 0.25 } as const
    const { invFreq } = ropeTable(config, 16, 2048)
    close(invFreq.subarray(0, 2), [1, 1e6 ** (-2 / 16)])
    expect(Array.from(invFreq.subarray(2))).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('divides by stored factors (GGUF)', () => {
    const config = { theta: 10000, rope_type: 'factors' as const, factors: [1, 2, 4, 1e30] }
    close(ropeTable(config, 8, 2048).invFreq, [1, 0.05, 0.0025, 1e-33])
  })

  it('interpolates by wavelength and raises attention (yarn)', () => {
    const { invFreq, factor } = ropeTable(
      {
        theta: 150000,
        rope_type: 'yarn',
        factor: 32,
        original_max_position_embeddings: 4096,
        beta_fast: 32,
        beta_slow: 1,
        truncate: false,
      },
      64,
      131072,
    )
    expect(factor).toBeCloseTo(0.1 * Math.log(32) + 1, 6)
    expect(invFreq[0]).toBe(1)
    expect(invFreq[31]).toBeCloseTo(150000 ** (-62 / 64) / 32, 12)
  })
})
