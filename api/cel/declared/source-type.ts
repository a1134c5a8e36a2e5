import { listOf, mapOf, types, type CelType, type ObjectType } from '#api/cel/check/cel-type.ts';
import { containerOf, type TypeRef, type TypeSource } from '#api/schema/type-source.ts';
import { escapeName } from './escape.ts';

const scalars: Readonly<Record<string, CelType>> = {
  ...{ string: types.string, bool: types.bool, int32: types.int, int64: types.int, double: types.double },
  ...{ bytes: types.bytes, quantity: types.string, time: types.timestamp, microtime: types.timestamp },
};

const known = new WeakMap<TypeSource, Map<string, CelType>>();

/** What expressions make of values of a type: what may be of several types, or of any shape, is anything. */
export function sourceType({ schema, typeName }: TypeRef): CelType {
  let ofSource = known.get(schema);
  if (ofSource === undefined) known.set(schema, (ofSource = new Map()));
  const made = ofSource.get(typeName) ?? makeType(schema, typeName);
  ofSource.set(typeName, made);
  return made;
}

function makeType(schema: TypeSource, typeName: string): CelType {
  const { shape, item } = containerOf(typeName);
  if (shape === 'list') return listOf(sourceType({ schema, typeName: item }));
  if (shape === 'map') return mapOf(types.string, sourceType({ schema, typeName: item }));
  const scalar = Object.hasOwn(scalars, typeName) ? scalars[typeName] : undefined;
  const found = schema.find(typeName);
  if (scalar !== undefined || found === undefined) return scalar ?? types.dyn;
  if (found.alias !== undefined) return sourceType({ schema, typeName: found.alias });
  if (found.fields === undefined) return types.dyn;
  const { fields } = found;
  const properties = new Map([...fields.keys()].map((name) => [escapeName(name) ?? name, name]));
  const typeOfProperty = (name: string): CelType | undefined => {
    const field = fields.get(name);
    // Asked for when it is needed: types lie within themselves.
    return field === undefined ? undefined : sourceType({ schema, typeName: field.type });
  };
  const made: ObjectType = {
    kind: 'object',
    name: found.publicName,
    fieldOf: (name) => {
      const property = properties.get(name) ?? name;
      const type = typeOfProperty(property);
      return type === undefined ? undefined : { type, property };
    },
    typeOfProperty,
  };
  return made;
}
