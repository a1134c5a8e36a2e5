import { Environment, type Program } from '#api/cel/environment.ts';
import { formatType, mapOf, types, type CelType, type ObjectType } from '#api/cel/check/cel-type.ts';
import { declaredMap, declaredObject, scalar, sizesOf } from '#api/cel/declared/declared-type.ts';
import { Budget } from '#api/cel/eval/budget.ts';
import { CelMap, isFault, type Value } from '#api/cel/eval/values.ts';
import { quantityValue } from '#api/cel/library/quantities.ts';
import { semverValue } from '#api/cel/library/semver.ts';
import type { Device, DeviceAttribute } from '#api/generated/objects.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { isPodwrightError } from '#base/errors.ts';

/** What one expression may cost, estimated and counted (CELSelectorExpressionMaxCost). */
const costMax = 1_000_000;
/** Attributes and capacities of a device (ResourceSliceMaxAttributesAndCapacitiesPerDevice). */
const entryCountMax = 32;
/** Characters of a text or version (DeviceAttributeMaxValueLength). */
const textLengthMax = 64;
/** Expressions that are kept compiled. */
const compiledMax = 1000;

const quantity: CelType = { kind: 'opaque', name: 'kubernetes.Quantity', params: [] };
const fields: Readonly<Record<string, CelType>> = {
  driver: types.string,
  attributes: mapOf(types.string, mapOf(types.string, types.dyn)),
  capacity: mapOf(types.string, mapOf(types.string, quantity)),
  allowMultipleAllocations: types.bool,
};
/** A device, as an expression sees it (k8s.io/dynamic-resource-allocation/cel). */
const device: ObjectType = {
  kind: 'object',
  name: 'kubernetes.DRADevice',
  fieldOf: (name) => {
    const type = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return type === undefined ? undefined : { type };
  },
};

/** How large what an expression looks at may be. */
const sizes = sizesOf(
  declaredObject(
    device.name,
    new Map(
      Object.entries({
        driver: scalar(types.string, 2, 63),
        attributes: entries(scalar(types.dyn, 1, textLengthMax)),
        capacity: entries(scalar(quantity, 1)),
        allowMultipleAllocations: scalar(types.bool, 4),
      }).map(([property, type]) => [property, { property, type }]),
    ),
    2,
  ),
);

function entries(value: ReturnType<typeof scalar>): ReturnType<typeof declaredMap> {
  return declaredMap(declaredMap(value, entryCountMax), entryCountMax);
}

/** A condition that devices have to meet; `problem`: why it is none. */
export type DeviceCondition =
  | { readonly program: Program; readonly problem?: undefined; readonly isTooDear: boolean }
  | { readonly program?: undefined; readonly problem: string; readonly isTooDear?: undefined };

let environment: Environment | undefined;
const compiled = new Map<string, DeviceCondition>();

/** Reads a CEL expression of a selector. The last thousand are kept. */
export function compileDeviceCondition(expression: string): DeviceCondition {
  const known = compiled.get(expression);
  if (known !== undefined) return known;
  const condition = compile(expression);
  if (compiled.size >= compiledMax) compiled.clear();
  compiled.set(expression, condition);
  return condition;
}

function compile(expression: string): DeviceCondition {
  environment ??= new Environment({ variables: { device }, macros: 'withBindings' });
  const { program, error } = environment.compile(expression);
  if (program === undefined) return { problem: error };
  const { kind } = program.type;
  if (kind !== 'bool' && kind !== 'dyn')
    return { problem: `must evaluate to bool or the unknown type, not ${formatType(program.type)}` };
  return { program, isTooDear: program.estimate(sizes).max > costMax };
}

/** Whether a device meets a condition, or why that cannot be told. */
export type Verdict = boolean | { readonly problem: string };

/** Pure; what was said of a device is not asked again as long as its slice stays. */
export function meetsCondition(expression: string, driver: string, of: Device): Verdict {
  const verdicts = known.get(of) ?? new Map<string, Verdict>();
  known.set(of, verdicts);
  const verdict = verdicts.get(expression) ?? judge(expression, driver, of);
  verdicts.set(expression, verdict);
  return verdict;
}

const known = new WeakMap<Device, Map<string, Verdict>>();

function judge(expression: string, driver: string, of: Device): Verdict {
  const { program, problem } = compileDeviceCondition(expression);
  if (program === undefined) return { problem: `CEL compile error: ${problem}` };
  const value = deviceValue(driver, of);
  try {
    const result = program.run((name) => (name === 'device' ? value : undefined), new Budget(costMax));
    if (isFault(result)) return { problem: `CEL runtime error: ${result.message}` };
    if (typeof result === 'boolean') return result;
    return { problem: 'CEL expression does not come to a bool' };
  } catch (error) {
    if (isPodwrightError(error, 'E_LIMIT')) return { problem: `CEL runtime error: ${error.message}` };
    throw error;
  }
}

/** Attributes and capacities by their domain, the driver's own where a name has none, and then by their name in it. */
function deviceValue(driver: string, of: Device): Value {
  return {
    driver,
    attributes: byDomain(driver, of.attributes, attributeValue),
    capacity: byDomain(driver, of.capacity, ({ value }) => {
      const amount = tryParseQuantity(value);
      return amount === undefined ? undefined : quantityValue(amount);
    }),
    allowMultipleAllocations: of.allowMultipleAllocations === true,
  };
}

function attributeValue({ bool, int, string, version }: DeviceAttribute): Value {
  return bool ?? int ?? string ?? (version === undefined ? undefined : semverValue(version));
}

/** What lies under a domain that a device has nothing in: an empty map, so that `has()` and `in` may be asked of it. */
const nothing: Value = {};

class Domains extends Map<unknown, readonly [Value, Value]> {
  override get(domain: unknown): readonly [Value, Value] {
    return super.get(domain) ?? [domain, nothing];
  }
}

function byDomain<T>(
  driver: string,
  named: Readonly<Record<string, T>> | undefined,
  valueOf: (of: T) => Value,
): CelMap {
  const domains = new Map<string, Record<string, Value>>();
  for (const [name, of] of Object.entries(named ?? {})) {
    const [domain, id] = splitName(driver, name);
    const members = domains.get(domain) ?? {};
    members[id] = valueOf(of);
    domains.set(domain, members);
  }
  return new CelMap(new Domains([...domains].map(([domain, members]) => [domain, [domain, members]])));
}

/** `domain/id`; a name without a domain is of the driver's. */
export function splitName(driver: string, name: string): readonly [domain: string, id: string] {
  const slash = name.indexOf('/');
  return slash < 0 ? [driver, name] : [name.slice(0, slash), name.slice(slash + 1)];
}
