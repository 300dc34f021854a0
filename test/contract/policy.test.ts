import { cedarEngine } from "../../src/drivers/policy/cedar.ts";
import { compilePolicies } from "../../src/security/policy/engine.ts";
import { policyContract } from "./policy.ts";

policyContract("compiled", compilePolicies);
policyContract("cedar", cedarEngine);
