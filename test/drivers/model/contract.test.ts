/** Every driver of this folder keeps the contract of src/abi/model.ts. */
import { modelContract } from "../../contract/model.ts";
import { localSubjects, remoteSubjects } from "./subjects.ts";

for (const subject of [...remoteSubjects, ...localSubjects]) modelContract(subject);
