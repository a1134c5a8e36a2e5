import type { JsonObject } from '#api/meta/object.ts';

/* Objects of a custom kind, and what a kube-apiserver 1.36.2 said of them. */

/** The schema that they were asked by. */
export const bigSchema: JsonObject = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['req'],
      properties: {
        req: { type: 'string' },
        en: { type: 'string', enum: ['a', 'b'] },
        pat: { type: 'string', pattern: '^x+$' },
        ml: { type: 'string', maxLength: 3, minLength: 2 },
        num: { type: 'integer', minimum: 1, maximum: 5, multipleOf: 2 },
        excl: { type: 'number', minimum: 0, exclusiveMinimum: true, maximum: 10, exclusiveMaximum: true },
        arr: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 2 },
        set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        map: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['k'],
          items: {
            type: 'object',
            required: ['k'],
            properties: { k: { type: 'string' }, v: { type: 'string' } },
          },
        },
        mp: { type: 'object', additionalProperties: { type: 'integer' }, maxProperties: 2, minProperties: 1 },
        ios: { 'x-kubernetes-int-or-string': true },
        nul: { type: 'string', nullable: true },
        nulldef: { type: 'string', nullable: true, default: 'nd' },
        def: { type: 'string', default: 'dd' },
        obj: { type: 'object', default: {}, properties: { x: { type: 'string', default: 'in' } } },
        arrdef: {
          type: 'array',
          items: { type: 'object', properties: { y: { type: 'integer', default: 7 } } },
        },
        emb: {
          type: 'object',
          'x-kubernetes-embedded-resource': true,
          'x-kubernetes-preserve-unknown-fields': true,
        },
        any: {
          type: 'object',
          'x-kubernetes-preserve-unknown-fields': true,
          properties: { known: { type: 'object', properties: { p: { type: 'string' } } } },
        },
        dt: { type: 'string', format: 'date-time' },
        ip: { type: 'string', format: 'ipv4' },
        b64: { type: 'string', format: 'byte' },
        dur: { type: 'string', format: 'duration' },
        uuid: { type: 'string', format: 'uuid' },
        i32: { type: 'integer', format: 'int32' },
        bool: { type: 'boolean' },
        u: { type: 'array', items: { type: 'string' }, uniqueItems: false },
        oo: {
          type: 'object',
          properties: { a: { type: 'string' }, b: { type: 'string' } },
          oneOf: [{ required: ['a'] }, { required: ['b'] }],
        },
        ao: {
          type: 'object',
          properties: { a: { type: 'string' }, b: { type: 'string' } },
          anyOf: [{ required: ['a'] }, { required: ['b'] }],
        },
        no: { type: 'object', properties: { a: { type: 'string' } }, not: { required: ['a'] } },
      },
    },
    status: { type: 'object', properties: { c: { type: 'string', default: 'sd' } } },
  },
};

/** A spec, and the message of the answer: '' where it was taken, with the spec as it was stored. */
export interface ObservedSpec {
  readonly name: string;
  readonly spec: unknown;
  readonly message: string;
  readonly stored?: unknown;
  /** Of each cause: its reason, its field. */
  readonly causes?: readonly (readonly [string, string])[];
}

export const observedSpecs: readonly ObservedSpec[] = [
  {
    name: 'required missing',
    spec: {},
    message: 'spec.req: Required value',
    causes: [['FieldValueRequired', 'spec.req']],
  },
  {
    name: 'null for required non-nullable',
    spec: { req: null },
    message: 'spec.req: Required value',
    causes: [['FieldValueRequired', 'spec.req']],
  },
  {
    name: 'wrong type string',
    spec: { req: 5 },
    message: 'spec.req: Invalid value: "integer": spec.req in body must be of type string: "integer"',
    causes: [['FieldValueTypeInvalid', 'spec.req']],
  },
  {
    name: 'enum',
    spec: { req: 'r', en: 'c' },
    message: 'spec.en: Unsupported value: "c": supported values: "a", "b"',
    causes: [['FieldValueNotSupported', 'spec.en']],
  },
  {
    name: 'pattern',
    spec: { req: 'r', pat: 'y' },
    message: 'spec.pat: Invalid value: "y": spec.pat in body should match \'^x+$\'',
    causes: [['FieldValueInvalid', 'spec.pat']],
  },
  {
    name: 'maxLength',
    spec: { req: 'r', ml: 'abcd' },
    message: 'spec.ml: Too long: may not be more than 3 bytes',
    causes: [['FieldValueTooLong', 'spec.ml']],
  },
  {
    name: 'minLength',
    spec: { req: 'r', ml: 'a' },
    message: 'spec.ml: Invalid value: "a": spec.ml in body should be at least 2 chars long',
    causes: [['FieldValueInvalid', 'spec.ml']],
  },
  {
    name: 'minimum',
    spec: { req: 'r', num: 0 },
    message: 'spec.num: Invalid value: 0: spec.num in body should be greater than or equal to 1',
    causes: [['FieldValueInvalid', 'spec.num']],
  },
  {
    name: 'maximum',
    spec: { req: 'r', num: 6 },
    message: 'spec.num: Invalid value: 6: spec.num in body should be less than or equal to 5',
    causes: [['FieldValueInvalid', 'spec.num']],
  },
  {
    name: 'multipleOf',
    spec: { req: 'r', num: 3 },
    message: 'spec.num: Invalid value: 3: spec.num in body should be a multiple of 2',
    causes: [['FieldValueInvalid', 'spec.num']],
  },
  {
    name: 'exclusiveMinimum',
    spec: { req: 'r', excl: 0 },
    message: 'spec.excl: Invalid value: 0: spec.excl in body should be greater than 0',
    causes: [['FieldValueInvalid', 'spec.excl']],
  },
  {
    name: 'exclusiveMaximum',
    spec: { req: 'r', excl: 10 },
    message: 'spec.excl: Invalid value: 10: spec.excl in body should be less than 10',
    causes: [['FieldValueInvalid', 'spec.excl']],
  },
  {
    name: 'integer given 1.5',
    spec: { req: 'r', num: 1.5 },
    message:
      '[spec.num: Invalid value: "number": spec.num in body must be of type integer: "number", <nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.num, spec.num: Invalid value: 1.5: spec.num in body should be a multiple of 2]',
    causes: [
      ['FieldValueTypeInvalid', 'spec.num'],
      ['FieldValueInvalid', '<nil>'],
      ['FieldValueInvalid', 'spec.num'],
    ],
  },
  {
    name: 'integer given 2.0',
    spec: { req: 'r', num: 2.0 },
    message: '',
    stored: { def: 'dd', nulldef: 'nd', num: 2, obj: { x: 'in' }, req: 'r' },
  },
  {
    name: 'maxItems',
    spec: { req: 'r', arr: ['a', 'b', 'c'] },
    message: 'spec.arr: Too many: 3: must have at most 2 items',
    causes: [['FieldValueTooMany', 'spec.arr']],
  },
  {
    name: 'minItems',
    spec: { req: 'r', arr: [] },
    message: 'spec.arr: Invalid value: 0: spec.arr in body should have at least 1 items',
    causes: [['FieldValueInvalid', 'spec.arr']],
  },
  {
    name: 'set duplicate',
    spec: { req: 'r', set: ['a', 'b', 'a'] },
    message: 'spec.set[2]: Duplicate value: "a"',
    causes: [['FieldValueDuplicate', 'spec.set[2]']],
  },
  {
    name: 'map duplicate',
    spec: { req: 'r', map: [{ k: 'a' }, { k: 'b' }, { k: 'a' }] },
    message: 'spec.map[2]: Duplicate value: {"k":"a"}',
    causes: [['FieldValueDuplicate', 'spec.map[2]']],
  },
  {
    name: 'map item without key',
    spec: { req: 'r', map: [{ v: 'a' }] },
    message: 'spec.map[0].k: Required value',
    causes: [['FieldValueRequired', 'spec.map[0].k']],
  },
  {
    name: 'additionalProperties type',
    spec: { req: 'r', mp: { a: 'x' } },
    message: 'spec.mp.a: Invalid value: "string": spec.mp.a in body must be of type integer: "string"',
    causes: [['FieldValueTypeInvalid', 'spec.mp.a']],
  },
  {
    name: 'maxProperties',
    spec: { req: 'r', mp: { a: 1, b: 1, c: 1 } },
    message: 'spec.mp: Too many: 3: must have at most 2 items',
    causes: [['FieldValueTooMany', 'spec.mp']],
  },
  {
    name: 'minProperties',
    spec: { req: 'r', mp: {} },
    message: 'spec.mp: Invalid value: 0: spec.mp in body should have at least 1 properties',
    causes: [['FieldValueInvalid', 'spec.mp']],
  },
  {
    name: 'int-or-string given bool',
    spec: { req: 'r', ios: true },
    message: 'spec.ios: Invalid value: "boolean": spec.ios in body must be of type integer,string: "boolean"',
    causes: [['FieldValueTypeInvalid', 'spec.ios']],
  },
  {
    name: 'int-or-string given 1.5',
    spec: { req: 'r', ios: 1.5 },
    message: 'spec.ios: Invalid value: "number": spec.ios in body must be of type integer,string: "number"',
    causes: [['FieldValueTypeInvalid', 'spec.ios']],
  },
  {
    name: 'embedded without apiVersion/kind',
    spec: { req: 'r', emb: { metadata: { name: 'x' } } },
    message: '[spec.emb.apiVersion: Required value, spec.emb.kind: Required value]',
    causes: [
      ['FieldValueRequired', 'spec.emb.apiVersion'],
      ['FieldValueRequired', 'spec.emb.kind'],
    ],
  },
  {
    name: 'embedded with a bad name',
    spec: { req: 'r', emb: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'X Y' } } },
    message: '',
    stored: {
      def: 'dd',
      emb: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'X Y' } },
      nulldef: 'nd',
      obj: { x: 'in' },
      req: 'r',
    },
  },
  {
    name: 'embedded bad apiVersion',
    spec: { req: 'r', emb: { apiVersion: 'a/b/c', kind: 'Pod' } },
    message: 'spec.emb.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
    causes: [['FieldValueInvalid', 'spec.emb.apiVersion']],
  },
  {
    name: 'date-time',
    spec: { req: 'r', dt: 'yesterday' },
    message: 'spec.dt: Invalid value: "yesterday": spec.dt in body must be of type date-time: "yesterday"',
    causes: [['FieldValueTypeInvalid', 'spec.dt']],
  },
  {
    name: 'ipv4',
    spec: { req: 'r', ip: '300.1.1.1' },
    message: 'spec.ip: Invalid value: "300.1.1.1": spec.ip in body must be of type ipv4: "300.1.1.1"',
    causes: [['FieldValueTypeInvalid', 'spec.ip']],
  },
  {
    name: 'byte',
    spec: { req: 'r', b64: '%%' },
    message: 'spec.b64: Invalid value: "%%": spec.b64 in body must be of type byte: "%%"',
    causes: [['FieldValueTypeInvalid', 'spec.b64']],
  },
  {
    name: 'duration',
    spec: { req: 'r', dur: '1 parsec' },
    message: 'spec.dur: Invalid value: "1 parsec": spec.dur in body must be of type duration: "1 parsec"',
    causes: [['FieldValueTypeInvalid', 'spec.dur']],
  },
  {
    name: 'uuid',
    spec: { req: 'r', uuid: 'x' },
    message: 'spec.uuid: Invalid value: "x": spec.uuid in body must be of type uuid: "x"',
    causes: [['FieldValueTypeInvalid', 'spec.uuid']],
  },
  {
    name: 'int32 overflow',
    spec: { req: 'r', i32: 3000000000 },
    message: '<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.i32',
    causes: [['FieldValueInvalid', '<nil>']],
  },
  {
    name: 'bool as string',
    spec: { req: 'r', bool: 'true' },
    message: 'spec.bool: Invalid value: "string": spec.bool in body must be of type boolean: "string"',
    causes: [['FieldValueTypeInvalid', 'spec.bool']],
  },
  {
    name: 'oneOf none',
    spec: { req: 'r', oo: {} },
    message:
      '[<nil>: Invalid value: "": "spec.oo" must validate one and only one schema (oneOf). Found none valid, spec.oo.a: Required value]',
    causes: [
      ['FieldValueInvalid', '<nil>'],
      ['FieldValueRequired', 'spec.oo.a'],
    ],
  },
  {
    name: 'oneOf both',
    spec: { req: 'r', oo: { a: '', b: '' } },
    message:
      '<nil>: Invalid value: "": "spec.oo" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    causes: [['FieldValueInvalid', '<nil>']],
  },
  {
    name: 'anyOf none',
    spec: { req: 'r', ao: {} },
    message:
      '[<nil>: Invalid value: "": "spec.ao" must validate at least one schema (anyOf), spec.ao.a: Required value]',
    causes: [
      ['FieldValueInvalid', '<nil>'],
      ['FieldValueRequired', 'spec.ao.a'],
    ],
  },
  {
    name: 'not',
    spec: { req: 'r', no: { a: '' } },
    message: '<nil>: Invalid value: "": "spec.no" must not validate the schema (not)',
    causes: [['FieldValueInvalid', '<nil>']],
  },
  {
    name: 'array for object',
    spec: { req: 'r', oo: [] },
    message:
      '[spec.oo: Invalid value: "array": spec.oo in body must be of type object: "array", <nil>: Invalid value: "": "spec.oo" must validate one and only one schema (oneOf). Found 2 valid alternatives]',
    causes: [
      ['FieldValueTypeInvalid', 'spec.oo'],
      ['FieldValueInvalid', '<nil>'],
    ],
  },
  {
    name: 'object for array',
    spec: { req: 'r', arr: { a: 1 } },
    message: 'spec.arr: Invalid value: "object": spec.arr in body must be of type array: "object"',
    causes: [['FieldValueTypeInvalid', 'spec.arr']],
  },
  {
    name: 'null in array',
    spec: { req: 'r', arr: [null] },
    message: 'spec.arr[0]: Invalid value: "null": spec.arr[0] in body must be of type string: "null"',
    causes: [['FieldValueTypeInvalid', 'spec.arr[0]']],
  },
  {
    name: 'null object with default',
    spec: { req: 'r', obj: null },
    message: '',
    stored: { def: 'dd', nulldef: 'nd', obj: { x: 'in' }, req: 'r' },
  },
  {
    name: 'several at once',
    spec: { en: 'c', num: 9, pat: 'y' },
    message:
      '[spec.pat: Invalid value: "y": spec.pat in body should match \'^x+$\', spec.num: Invalid value: 9: spec.num in body should be a multiple of 2, spec.num: Invalid value: 9: spec.num in body should be less than or equal to 5, spec.en: Unsupported value: "c": supported values: "a", "b", spec.req: Required value]',
    causes: [
      ['FieldValueInvalid', 'spec.pat'],
      ['FieldValueInvalid', 'spec.num'],
      ['FieldValueInvalid', 'spec.num'],
      ['FieldValueNotSupported', 'spec.en'],
      ['FieldValueRequired', 'spec.req'],
    ],
  },
  { name: 'spec null', spec: null, message: '', stored: null },
];
