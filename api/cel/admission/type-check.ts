import type { CelType } from '#api/cel/check/cel-type.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compilePolicy, type PolicyExpression } from './compile-policy.ts';

/** A kind that a policy is about, or that its parameters are of. */
export interface CheckedKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly type: CelType;
}

export interface ExpressionWarning {
  readonly fieldRef: string;
  readonly warning: string;
}

/** So many kinds a policy is checked for (apiserver/pkg/admission/plugin/policy/validating/typechecking.go). */
const kindsMax = 10;

/** What is wrong with the expressions of a ValidatingAdmissionPolicy where objects are of the kinds that it is about; in kube-apiserver's words. */
export function typeWarnings(
  spec: JsonObject,
  kinds: readonly CheckedKind[],
  params: CheckedKind | undefined,
): readonly ExpressionWarning[] {
  const checked = kinds.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)).slice(0, kindsMax);
  const texts = new Map<string, string[]>();
  for (const kind of checked) {
    for (const { path, error } of expressionsOf(spec, kind, params)) {
      const problem = error?.startsWith(compilation) === true ? error.slice(compilation.length) : error;
      if (problem === undefined) continue;
      const known = texts.get(path) ?? [];
      texts.set(path, [...known, `${nameOf(kind)}: ${problem}\n`]);
    }
  }
  return [...texts].map(([fieldRef, all]) => ({ fieldRef, warning: all.join('\n') }));
}

const compilation = 'compilation failed: ';

function expressionsOf(
  spec: JsonObject,
  { type: object }: CheckedKind,
  params: CheckedKind | undefined,
): readonly PolicyExpression[] {
  const { variables, validations } = compilePolicy(spec, { object, params: params?.type });
  return [
    ...variables,
    ...validations.flatMap((validation) =>
      validation.messageExpression === undefined ? [validation] : [validation, validation.messageExpression],
    ),
  ];
}

/** As Go writes a GroupVersionKind: `/v1, Kind=ConfigMap`. */
function nameOf({ group, version, kind }: CheckedKind): string {
  return `${group}/${version}, Kind=${kind}`;
}
