import { protoFacts, type ProtoField } from '#api/facts/facts.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { goJson, isObject, listOf, memberOf, objectOf } from '#api/wire/json.ts';
import { internalOrders, namesAnywhere, namesOfTypes, ofHost } from './internal-types.ts';

/** Beginnings of JSON names that Go writes in capitals. */
const initialisms =
  /^(api|aws|cel|cidr|csi|dns|fc|fs|gce|gmsa|grpc|http|ip|iqn|iscsi|nfs|os|rbd|ssl|tcp|tls|tty|uid|url)(?=[A-Z]|s?$)/;

/**
 * The value of a message that is a struct, or a list of them, as kube-apiserver shows it: its internal types have no JSON names, so that
 * members are called as in Go, in the order of the struct, with what is absent (seen as RoleRef and PriorityLevelConfigurationSpec in
 * access-observed). `type` as in the facts: `rbac.v1.RoleRef`, `[]core.v1.Toleration`. What Go itself shows by JSON names is shown by those.
 * For structs whose internal form is another one there is `goStruct`.
 */
export function goValue(type: string, value: unknown): string {
  if (type.startsWith('[]')) {
    return value === undefined || value === null
      ? 'null'
      : `[${listOf(value)
          .map((item) => goValue(type.slice(2), item))
          .join(',')}]`;
  }
  const fields = fieldsOf(type);
  // What holds JSON of any shape shows that.
  if (!isObject(value) || fields === undefined || type.startsWith('runtime.')) return goJson(value ?? null);
  return `{${membersOf(type, fields, type === podSpec ? withHostInContext(value) : value).join(',')}}`;
}

const podSpec = 'core.v1.PodSpec';

/** The members of a struct by their JSON names, in the order of the internal one. */
function fieldsOf(type: string): Readonly<Record<string, ProtoField>> | undefined {
  const { messages } = protoFacts();
  const order = memberOf(internalOrders, type);
  if (order === undefined) return memberOf(messages, type);
  const known = { ...memberOf(messages, podSpec), ...memberOf(messages, type) };
  return Object.fromEntries(
    order.flatMap((name) => {
      const field = memberOf(known, name);
      return field === undefined ? [] : [[name, field]];
    }),
  );
}

function withHostInContext(spec: JsonObject): JsonObject {
  const host = Object.fromEntries(
    ofHost.flatMap((name) => (spec[name] === undefined ? [] : [[name, spec[name]]])),
  );
  return { ...spec, securityContext: { ...objectOf(spec['securityContext']), ...host } };
}

function membersOf(
  type: string,
  fields: Readonly<Record<string, ProtoField>>,
  value: JsonObject,
): readonly string[] {
  const { inline = [] } = memberOf(protoFacts().json, type) ?? {};
  const isTagged = type.startsWith('meta.v1.');
  return Object.entries(fields).flatMap(([name, [, of, flag]]) => {
    if (inline.includes(name)) return membersOf(of, fieldsOf(of) ?? {}, value);
    const own = value[name];
    if (isTagged) return isEmpty(own) && flag !== 2 ? [] : [`"${name}":${shownOf(of, own, flag)}`];
    // Metadata is embedded there.
    if (of === 'meta.v1.ObjectMeta')
      return isObject(own) ? [goValue(of, own).slice(1, -1)].filter(Boolean) : [];
    return [`${JSON.stringify(goName(type, name))}:${shownOf(of, own, flag)}`];
  });
}

function shownOf(type: string, value: unknown, flag: 1 | 2 | undefined): string {
  return value === undefined && flag !== undefined ? zeroOf(type) : goValue(type, value);
}

function zeroOf(type: string): string {
  if (type === 'string') return '""';
  if (type === 'bool') return 'false';
  if (/^(u?int|float|double)/.test(type)) return '0';
  return memberOf(protoFacts().messages, type) === undefined ? 'null' : goValue(type, {});
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isObject(value)) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === '' || value === 0 || value === false;
}

function goName(type: string, name: string): string {
  const given = memberOf(memberOf(namesOfTypes, type) ?? {}, name) ?? memberOf(namesAnywhere, name);
  if (given !== undefined) return given;
  const capitals = name.replace(initialisms, (text) => text.toUpperCase());
  return `${capitals.charAt(0).toUpperCase()}${capitals.slice(1)}`;
}
