// Calls ADBench's hand-written C++ (src/cpp/modules/manual) on arrays that Python owns: what its ManualHand.cpp and ManualBA.cpp do between
// `prepare` and `output`, without its file readers and its timer.
#include <string>
#include <vector>

#include "modules/manual/ba_d.h"
#include "modules/manual/hand_d.h"
#include "shared/utils.h"

struct Hand {
    HandDataLightMatrix data;
    std::vector<double> us;
};

struct Bundle {
    int n, m, p;
    const double *cams, *points, *weights, *pixels;
    std::vector<int> seen;
    std::vector<double> errors, weight_errors, block;
    BASparseMat jacobian;
};

// rows [count] of row-major 4 x 4 matrices, which ADBench keeps column by column
static std::vector<LightMatrix<double>> matrices(int count, const double* rows)
{
    std::vector<LightMatrix<double>> found;
    for (int k = 0; k < count; ++k) {
        found.emplace_back(4, 4);
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j) found.back()(i, j) = rows[16 * k + 4 * i + j];
    }
    return found;
}

// a row-major array as a matrix of ADBench's
static LightMatrix<double> matrix(int rows, int columns, const double* numbers)
{
    LightMatrix<double> found(rows, columns);
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j) found(i, j) = numbers[columns * i + j];
    return found;
}

extern "C" {

void* hand_new(int bones, const int* parents, const double* relative, const double* inverse, int vertices, const double* base,
               const double* weights, int triangles, const int* corners, int points, const int* matches, const double* targets, const double* us)
{
    auto* hand = new Hand;
    auto& model = hand->data.model;
    model.bone_names = std::vector<std::string>(bones);
    model.parents.assign(parents, parents + bones);
    model.base_relatives = matrices(bones, relative);
    model.inverse_base_absolutes = matrices(bones, inverse);
    model.base_positions = matrix(4, vertices, base);
    model.weights = matrix(bones, vertices, weights);
    for (int k = 0; k < triangles; ++k) model.triangles.push_back({{corners[3 * k], corners[3 * k + 1], corners[3 * k + 2]}});
    model.is_mirrored = false;
    hand->data.correspondences.assign(matches, matches + points);
    hand->data.points = LightMatrix<double>(3, points);
    for (int k = 0; k < points; ++k)
        for (int i = 0; i < 3; ++i) hand->data.points(i, k) = targets[3 * k + i];
    if (us) hand->us.assign(us, us + 2 * points);
    return hand;
}

void hand_jacobian(void* held, const double* theta, double* error, double* jacobian)
{
    auto* hand = static_cast<Hand*>(held);
    if (hand->us.empty()) hand_objective_d(theta, hand->data, error, jacobian);
    else hand_objective_d(theta, hand->us.data(), hand->data, error, jacobian);
}

void* ba_new(int n, int m, int p, const double* cams, const double* points, const double* weights, const int* seen, const double* pixels)
{
    return new Bundle{n, m, p, cams, points, weights, pixels, std::vector<int>(seen, seen + 2 * p), std::vector<double>(2 * p),
                      std::vector<double>(p), std::vector<double>(2 * (BA_NCAMPARAMS + 3 + 1)), BASparseMat(n, m, p)};
}

const double* ba_jacobian(void* held)
{
    auto* ba = static_cast<Bundle*>(held);
    ba->jacobian.clear();
    for (int i = 0; i < ba->p; i++) {
        std::fill(ba->block.begin(), ba->block.end(), 0.0);
        int camera = ba->seen[2 * i], point = ba->seen[2 * i + 1];
        compute_reproj_error_d(&ba->cams[BA_NCAMPARAMS * camera], &ba->points[3 * point], ba->weights[i], ba->pixels[2 * i],
                               ba->pixels[2 * i + 1], &ba->errors[2 * i], ba->block.data());
        ba->jacobian.insert_reproj_err_block(i, camera, point, ba->block.data());
    }
    for (int i = 0; i < ba->p; i++) {
        double derivative = 0;
        compute_zach_weight_error_d(ba->weights[i], &ba->weight_errors[i], &derivative);
        ba->jacobian.insert_w_err_block(i, derivative);
    }
    return ba->jacobian.vals.data();
}
}
