import type { JsonObject, JsonValue } from '../../edge/engine.ts'

/** Random numbers that depend on the seed alone (mulberry32). */
export function randomSource(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const names = [
  'name',
  'id',
  'größe',
  '名前',
  'emoji 😀',
  'a"quote',
  'back\\slash',
  'tab\tbed',
  '',
  'price',
  'items',
  'Ключ',
  'é',
]
const patterns = [
  '^[a-z]+$',
  '^\\d{3}-\\d{4}$',
  'foo|bar',
  '^[A-Z][a-z]*( [A-Z][a-z]*)*$',
  '^(?:\\+1)?[0-9]{10}$',
  'x{2,4}',
  '^[^"\\\\]{1,8}$',
  '^\\p{Lu}\\p{Ll}{0,5}$',
  '^#[0-9a-fA-F]{6}$',
  '\\.json$',
  '^[äöü😀]+$',
  '^(a|b)*c?$',
  '^"?[\\w ]+"?$',
]
const formats = [
  'date',
  'time',
  'date-time',
  'email',
  'uuid',
  'ipv4',
  'ipv6',
  'uri',
  'hostname',
  'duration',
]

/** A JSON schema of many kinds, nested up to a few levels; every one has a valid value. */
export function randomSchema(seed: number): JsonObject {
  const random = randomSource(seed)
  const below = (n: number) => Math.floor(random() * n)
  const chance = (p: number) => random() < p
  const pick = <T>(list: readonly T[]): T => {
    const item = list[below(list.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }
  const some = <T>(list: readonly T[], n: number): T[] => {
    const left = [...list]
    return Array.from({ length: Math.min(n, left.length) }, () =>
      left.splice(below(left.length), 1),
    ).flat()
  }

  const literal = (): JsonValue =>
    pick<() => JsonValue>([
      () => null,
      () => chance(0.5),
      () => below(1000) - 500,
      () => pick(names),
      () => [below(9), pick(names)],
      () => ({ [pick(names)]: below(9), k: null }),
    ])()

  const string = (): JsonObject => {
    const way = random()
    if (way < 0.35) return { type: 'string', pattern: pick(patterns) }
    if (way < 0.5) return { type: 'string', format: pick(formats) }
    if (way < 0.75) {
      const minLength = below(5)
      return { type: 'string', minLength, maxLength: minLength + below(40) }
    }
    if (way < 0.85)
      return {
        type: 'string',
        pattern: '^[a-zé"]+$',
        minLength: 1 + below(4),
        maxLength: 6 + below(20),
      }
    return { type: 'string' }
  }

  const number = (): JsonObject => {
    const type = pick(['integer', 'number'])
    const low = pick([below(2000) - 1000, (below(20000) - 10000) / 100, below(5)])
    const span = pick([1, 5.5, 100, 1e6])
    const way = random()
    if (way < 0.2) return { type }
    if (way < 0.4) return { type, minimum: low }
    if (way < 0.55) return { type, exclusiveMaximum: low }
    if (way < 0.85) return { type, exclusiveMinimum: low, maximum: low + span }
    return {
      type: 'integer',
      multipleOf: pick([2, 5, 7, 100]),
      minimum: below(50),
      maximum: 1000 + below(1e6),
    }
  }

  const array = (depth: number): JsonObject => {
    const minItems = below(3)
    const way = random()
    if (way < 0.2) {
      return {
        type: 'array',
        prefixItems: [schema(depth + 1), schema(depth + 1)],
        items: chance(0.5) ? false : schema(depth + 1),
        minItems,
      }
    }
    if (way < 0.7)
      return { type: 'array', items: schema(depth + 1), minItems, maxItems: minItems + below(6) }
    return { type: 'array', items: schema(depth + 1), ...(chance(0.5) && { minItems }) }
  }

  const object = (depth: number): JsonObject => {
    const used = some(names, 1 + below(5))
    const properties = Object.fromEntries(used.map(name => [name, schema(depth + 1)]))
    const required = used.filter(() => chance(0.6))
    const way = random()
    return {
      type: 'object',
      properties,
      ...(required.length > 0 && { required }),
      ...(way < 0.4 && { additionalProperties: false }),
      ...(way > 0.8 && { additionalProperties: schema(depth + 1) }),
      ...(way > 0.9 && {
        minProperties: Math.max(1, required.length),
        maxProperties: used.length + 1,
      }),
      ...(way > 0.7 && way < 0.8 && { patternProperties: { '^x-[a-z]+$': schema(depth + 1) } }),
    }
  }

  const schema = (depth: number): JsonObject => {
    const leaf = depth >= 3
    return pick<() => JsonObject>([
      string,
      string,
      number,
      number,
      () => ({ type: 'boolean' }),
      () => ({
        type: pick([
          ['string', 'null'],
          ['integer', 'null'],
          ['boolean', 'number'],
        ]),
      }),
      () => ({ enum: Array.from({ length: 1 + below(4) }, literal) }),
      () => ({ const: literal() }),
      () => ({ $ref: pick(['#/$defs/node', '#/$defs/größe', '#/$defs/node']) }),
      ...(leaf
        ? []
        : [
            () => object(depth),
            () => object(depth),
            () => object(depth),
            () => array(depth),
            () => array(depth),
            () => ({ anyOf: [schema(depth + 1), schema(depth + 1)] }),
            () => ({ oneOf: [{ type: 'string', maxLength: 5 }, number(), { type: 'null' }] }),
            () => ({
              allOf: [object(depth + 1), { description: 'the same again', type: 'object' }],
            }),
            () => ({ title: 'described', description: 'of no effect', ...object(depth) }),
          ]),
    ])()
  }

  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $defs: {
      node: {
        type: 'object',
        properties: {
          value: string(),
          children: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 3 },
          next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
        },
        required: chance(0.5) ? ['value'] : ['value', 'next'],
        additionalProperties: false,
      },
      größe: { type: 'number', minimum: 0, maximum: 300 },
    },
    ...pick<() => JsonObject>([() => object(0), () => object(0), () => schema(0)])(),
  }
}
