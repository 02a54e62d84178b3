// The same model by Newton's method, from C++: gradient and Hessian that adc built.
//
//     ./newton data.txt       prints the loss at every step
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "data.h"
#include "model.h"

using Vector = std::vector<double>;

// adc's functions as C++ would have them: sizes from the vectors, exceptions for codes, scratch that is kept
class Model {
public:
    Model(const table &data, double decay) : data(data), decay(decay) {}

    double gradient(const Vector &w, Vector &out)
    {
        double value;
        scratch.resize(loss_vg_scratch_bytes(data.d, data.n));
        checked(loss_vg(w.data(), data.X, data.y, decay, data.d, data.n, &value, out.data(), scratch.data()));
        return value;
    }

    void hessian(const Vector &w, Vector &out)
    {
        scratch.resize(loss_hessian_scratch_bytes(data.d, data.n));
        checked(loss_hessian(w.data(), data.X, data.y, decay, data.d, data.n, out.data(), scratch.data()));
    }

private:
    static void checked(int code)
    {
        if (code)
            throw std::runtime_error(model_strerror(code));
    }

    const table &data;
    double decay;
    std::vector<unsigned char> scratch;
};

// x := A⁻¹ x by Cholesky's factorisation, in place
static void solve(Vector &A, Vector &x)
{
    const size_t d = x.size();
    for (size_t j = 0; j < d; j++) {
        for (size_t k = 0; k < j; k++)
            for (size_t i = j; i < d; i++)
                A[i * d + j] -= A[i * d + k] * A[j * d + k];
        const double root = std::sqrt(A[j * d + j]);
        for (size_t i = j; i < d; i++)
            A[i * d + j] /= root;
    }
    for (size_t i = 0; i < d; i++) {
        for (size_t k = 0; k < i; k++)
            x[i] -= A[i * d + k] * x[k];
        x[i] /= A[i * d + i];
    }
    for (size_t i = d; i-- > 0;) {
        for (size_t k = i + 1; k < d; k++)
            x[i] -= A[k * d + i] * x[k];
        x[i] /= A[i * d + i];
    }
}

int main(int argc, char **argv)
{
    table data;
    if (argc < 2 || table_read(argv[1], &data)) {
        std::fprintf(stderr, "usage: newton data.txt\n");
        return 2;
    }
    const size_t d = static_cast<size_t>(data.d);
    Vector w(d), gradient(d), hessian(d * d);
    int status = 0;
    try {
        Model model(data, 1e-3);
        double largest = 1;
        for (int step = 0; step < 30 && largest > 1e-10; step++) {
            const double value = model.gradient(w, gradient);
            model.hessian(w, hessian);
            largest = 0;
            for (double g : gradient)
                largest = std::fmax(largest, std::fabs(g));
            std::printf("step %d loss %.6f gradient %.1e\n", step, value, largest);
            solve(hessian, gradient);
            for (size_t k = 0; k < d; k++)
                w[k] -= gradient[k];
        }
        // a wrong call is a code with words, here an exception
        try {
            Model(data, -1.0).gradient(w, gradient);
            status = 1;
        } catch (const std::runtime_error &e) {
            std::printf("refused: %s\n", e.what());
        }
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
        status = 1;
    }
    table_free(&data);
    return status;
}
