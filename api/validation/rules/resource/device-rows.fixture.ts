import { invalid, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow } from '#api/validation/rules/rule-table.fixture.ts';

/** What several kinds of resource.k8s.io have within. */
export const many = (count: number, of: (index: number) => unknown): readonly unknown[] =>
  Array.from({ length: count }, (_, index) => of(index));

/** A driver that is named. */
export function driverRows(path: string): readonly RuleRow[] {
  return [
    ruleAt(path, 'there', { fails: '' }, [
      `${path}: Required value`,
      `${path}: ${invalid('', says.subdomain)}`,
    ]),
    ruleAt(path, 'at most 63 bytes', { passes: 'a'.repeat(63), fails: 'a'.repeat(64) }, [
      `${path}: Too long: may not be more than 63 bytes`,
    ]),
    ruleAt(path, 'a DNS subdomain', { passes: 'a.B', fails: 'a_b' }, invalid('a_b', says.subdomain)),
  ];
}

/** What is for a driver alone. */
export function opaqueRows(path: string): readonly RuleRow[] {
  const at = `${path}.opaque.parameters`;
  return [
    {
      field: `${path.replaceAll(/\[\d+\]/g, '')}.opaque`,
      rule: 'there',
      passes: {},
      fails: { [`${path}.opaque`]: undefined },
      message: `${path}.opaque: Required value`,
    },
    ...driverRows(`${path}.opaque.driver`),
    ruleAt(at, 'there', { passes: { a: 1 }, fails: undefined }, 'Required value'),
    ruleAt(at, 'an object', { fails: [1] }, invalid('<value omitted>', 'must be a valid JSON object')),
    ruleAt(
      at,
      'at most 10 KiB',
      { passes: { a: 'b'.repeat(10_000) }, fails: { a: 'b'.repeat(10_240) } },
      'Too long: may not be more than 10240 bytes',
    ),
  ];
}

/** Conditions in CEL. */
export function selectorRows(path: string): readonly RuleRow[] {
  const one = `${path}[0].cel.expression`;
  const cel = (expression: string): object => ({ cel: { expression } });
  return [
    ruleAt(
      path,
      'at most 32',
      { passes: many(32, () => cel('true')), fails: many(33, () => cel('true')) },
      'Too many: 33: must have at most 32 items',
    ),
    {
      field: `${path}.cel`.replaceAll(/\[\d+\]/g, ''),
      rule: 'there',
      passes: { [path]: [cel('true')] },
      fails: { [path]: [{}] },
      message: `${path}[0].cel: Required value`,
    },
    ruleAt(
      one,
      'of a device',
      {
        passes: 'device.driver == "a" && device.attributes["b"].c > 1',
        fails: 'device.colour',
      },
      `Invalid value: "device.colour": compilation failed: ERROR: <input>:1:7: undefined field 'colour'…`,
    ),
    ruleAt(
      one,
      'true or false',
      { passes: 'device.attributes["a"].b', fails: '1' },
      invalid('1', 'must evaluate to bool or the unknown type, not int'),
    ),
    ruleAt(
      one,
      'with variables of its own',
      { passes: 'cel.bind(d, device.attributes["a"], d.b && d.c)', fails: 'device.capacity["a"].b' },
      invalid('device.capacity["a"].b', 'must evaluate to bool or the unknown type, not kubernetes.Quantity'),
    ),
    ruleAt(
      one,
      'at most 10 KiB',
      { passes: 'true', fails: `"${'a'.repeat(10_240)}" != ""` },
      'Too long: may not be more than 10240 bytes',
    ),
  ];
}

/** What is tolerated of a device. */
export function tolerationRows(path: string): readonly RuleRow[] {
  const one = `${path}[0]`;
  return [
    ruleAt(
      path,
      'at most 16',
      {
        passes: many(16, () => ({ operator: 'Exists' })),
        fails: many(17, () => ({ operator: 'Exists' })),
      },
      'Too many: 17: must have at most 16 items',
    ),
    ruleAt(
      `${one}.key`,
      'a qualified name',
      { passes: 'a.b/c', fails: 'a b' },
      invalid('a b', says.qualified),
      { [`${one}.operator`]: 'Exists' },
    ),
    ruleAt(
      `${one}.operator`,
      'one of two',
      { passes: 'Equal', fails: 'X' },
      'Unsupported value: "X": supported values: "Equal", "Exists"',
    ),
    ruleAt(
      `${one}.value`,
      'the value of a label',
      { passes: 'v', fails: 'a b' },
      invalid('a b', says.labelValue),
      { [`${one}.operator`]: 'Equal', [`${one}.key`]: 'k' },
    ),
    ruleAt(
      `${one}.value`,
      'none for Exists',
      { fails: 'v' },
      invalid('v', 'must be empty for operator `Exists`'),
      { [`${one}.operator`]: 'Exists' },
    ),
    ruleAt(
      `${one}.effect`,
      'one of three',
      { passes: 'None', fails: 'X' },
      'Unsupported value: "X": supported values: "NoExecute", "NoSchedule", "None"',
      { [`${one}.operator`]: 'Exists' },
    ),
  ];
}

/** Conditions that a pod waits for before it is bound. */
export function bindingRows(path: string): readonly RuleRow[] {
  const [wait, end] = [`${path}.bindingConditions`, `${path}.bindingFailureConditions`];
  return [
    ruleAt(
      wait,
      'qualified names',
      { passes: ['a/b'], fails: ['a b'] },
      [`${wait}[0]: ${invalid('a b', says.qualified)}`],
      { [end]: ['e'] },
    ),
    ruleAt(
      wait,
      'at most four',
      { passes: ['a', 'b', 'c', 'd'], fails: ['a', 'b', 'c', 'd', 'f'] },
      'Too many: 5: must have at most 4 items',
      { [end]: ['e'] },
    ),
    ruleAt(wait, 'each once', { fails: ['a', 'a'] }, [`${wait}[1]: Duplicate value: "a"`], { [end]: ['e'] }),
    ruleAt(
      wait,
      'some, where there are failures',
      { passes: ['a'], fails: undefined },
      invalid(null, 'bindingConditions are required to use bindingFailureConditions'),
      { [end]: ['e'] },
    ),
    ruleAt(
      end,
      'qualified names',
      { passes: ['a/b'], fails: ['a b'] },
      [`${end}[0]: ${invalid('a b', says.qualified)}`],
      { [wait]: ['w'] },
    ),
    ruleAt(
      end,
      'none of the others',
      { passes: ['e'], fails: ['w'] },
      [`${end}[0]: ${invalid('w', 'bindingFailureConditions must not overlap with bindingConditions')}`],
      { [wait]: ['w'] },
    ),
    ruleAt(
      end,
      'some, where there are conditions',
      { passes: ['e'], fails: undefined },
      invalid(null, 'bindingFailureConditions are required to use bindingConditions'),
      { [wait]: ['w'] },
    ),
  ];
}
