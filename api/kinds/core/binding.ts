import { notSupportedField, requiredField } from '#api/errors/field-error.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { when } from '#api/validation/field.ts';
import { at, stringOf } from '#api/wire/json.ts';

const targets = ['Node', '<empty>'];

/** Rules of Bindings: a POST puts a pod on its node. */
export const bindingRules: KindRules = {
  effect: acted('control-plane/apiserver/subresources/binding.ts'),
  isStored: false,
  validate: (binding) => {
    const [kind, name] = ['kind', 'name'].map((field) => stringOf(at(binding, ['target', field])));
    return [
      ...when(kind !== '' && kind !== 'Node', () => notSupportedField('target.kind', kind, targets)),
      ...when(name === '', () => requiredField('target.name')),
    ];
  },
};
