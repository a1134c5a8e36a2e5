/** `--enable-admission-plugins` and its like of the server, named as kube-apiserver's: who has a say in writes. */
import { describeError } from '#base/errors.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { readAdmissionConfiguration } from '#control-plane/apiserver/chain/admission/choice/admission-configuration.ts';
import {
  choiceProblems,
  choosePlugins,
  idleConfigurations,
  type PluginChoice,
  type PluginConfigurations,
} from '#control-plane/apiserver/chain/admission/choice/choose-plugins.ts';
import { pluginRows } from '#control-plane/apiserver/chain/admission/plugins.ts';
import type { AdmissionCommandOptions } from './add-options.ts';

/** All that is wrong, each beginning with the option's name. */
export function admissionProblems(options: AdmissionCommandOptions): readonly string[] {
  const problems = choiceProblems(pluginRows, choiceOf(options));
  if (problems.length > 0) return problems;
  try {
    readAdmission(options);
    return [];
  } catch (error) {
    const { admissionControlConfigFile: file } = options;
    const option = file === undefined ? '--enable-admission-plugins' : '--admission-control-config-file';
    return [`${option}: ${describeError(error)}`];
  }
}

export interface ChosenPlugins {
  readonly plugins: readonly AdmissionPlugin[];
  /** Plugins whose configuration has no effect, for they are off. */
  readonly idle: readonly string[];
}

/** Of options without problems. */
export function readAdmission(options: AdmissionCommandOptions): ChosenPlugins {
  const choice = choiceOf(options);
  const { admissionControlConfigFile: file } = options;
  const configurations: PluginConfigurations =
    file === undefined ? new Map() : readAdmissionConfiguration(file);
  return {
    plugins: choosePlugins(pluginRows, choice, configurations),
    idle: idleConfigurations(pluginRows, choice, configurations),
  };
}

function choiceOf(options: AdmissionCommandOptions): PluginChoice {
  const { enableAdmissionPlugins: enabled = [], disableAdmissionPlugins: disabled = [] } = options;
  return { enabled, disabled };
}
