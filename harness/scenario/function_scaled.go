package scenario

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// scaledValue is a function of expressions: what "25%" or "3" of a total is, as Kubernetes reads such a field.
func scaledValue() cel.EnvOption {
	return cel.Function("scaledValue",
		cel.Overload("scaled_value_string_int_bool", []*cel.Type{cel.StringType, cel.IntType, cel.BoolType}, cel.IntType),
		cel.SingletonFunctionBinding(func(args ...ref.Val) ref.Val {
			text, total, up := intstr.Parse(fmt.Sprint(args[0].Value())), args[1].(types.Int), args[2].(types.Bool)
			n, err := intstr.GetScaledValueFromIntOrPercent(&text, int(total), bool(up))
			if err != nil {
				return types.NewErr("scaledValue: %v is neither a number nor a percentage", args[0].Value())
			}
			return types.Int(n)
		}),
	)
}
